"""Log lines: their form, what they must not contain, and the thread that writes them."""
