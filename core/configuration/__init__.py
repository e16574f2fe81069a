"""Settings, roles of a process, URLs as providers give them, rates."""
