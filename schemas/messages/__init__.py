"""Error messages in English and Hebrew, by key."""
