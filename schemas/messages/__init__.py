"""The messages of error responses in English and Hebrew, by key."""
