"""An installation like production beside it, with an anonymised sample of its data."""
