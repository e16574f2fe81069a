"""How fast, and compared with what: everything is measured side by side, in one go, on one machine."""
