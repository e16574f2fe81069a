"""From preferences to the answer of POST /api/v2/recommendations."""
