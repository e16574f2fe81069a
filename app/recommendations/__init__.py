"""Recommendations: from preferences to the response of POST /api/v2/recommendations."""
