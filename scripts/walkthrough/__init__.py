"""What `./scripts/demo` shows."""
