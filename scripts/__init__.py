"""The `smarttrip` command, local services, sample data, the demo and the benchmark."""
