"""Traces: spans, whose calls cost one `if` where traces are off, and OpenTelemetry behind them."""
