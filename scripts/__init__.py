"""The `smarttrip` command (`cli.py`) and the checks behind `./scripts/test`."""
