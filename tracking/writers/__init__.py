"""One writer for each kind of stream entry."""
