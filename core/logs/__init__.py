"""JSON lines, redaction, repeated errors, the thread that writes."""
