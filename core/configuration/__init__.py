"""Settings, the roles of a process, and what values of settings mean."""
