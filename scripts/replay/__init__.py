"""What `smarttrip replay` does: make logged searches again on two sides, and compare the answers."""
