"""Response cache: process and Redis level, single flight, invalidation."""
