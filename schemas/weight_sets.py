"""How weight sets are named, in settings, headers and commands."""

PLATFORM = "platform"
"""Reference of the built-in set."""

NAME_PATTERN = r"[a-z][a-z0-9-]{0,19}"
REFERENCE_PATTERN = rf"{PLATFORM}|{NAME_PATTERN}@[1-9][0-9]{{0,5}}"
"""Of a stored set: its name and version, such as `summer@2`."""
