"""Labels whose series exist from the start, files shared by processes, buffered counters."""
