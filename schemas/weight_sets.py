"""How weight sets are named, in settings, headers and commands."""

import re

PLATFORM = "platform"
"""Reference of the built-in set."""

NAME_PATTERN = r"[a-z][a-z0-9-]{0,19}"
NAME_FORM = f"should be up to 20 of a-z, 0-9 and -, beginning with a letter, and not {PLATFORM}"
REFERENCE_PATTERN = rf"{PLATFORM}|{NAME_PATTERN}@[1-9][0-9]{{0,5}}"
"""Of a stored set: its name and version, such as `summer@2`."""
REFERENCE_FORM = f"should be {PLATFORM}, or a name with a version such as summer@1"


def is_weight_set_name(text: str) -> bool:
    """Return whether a weight set may be stored under this name."""
    return text != PLATFORM and re.fullmatch(NAME_PATTERN, text) is not None


def is_weight_set_reference(text: str) -> bool:
    return re.fullmatch(REFERENCE_PATTERN, text) is not None
