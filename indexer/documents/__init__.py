"""From rows to index documents."""
