"""Quality values of Accept-Encoding and Accept-Language."""


def parse_qualities(header: str) -> dict[str, float]:
    """Return the quality of each option in lower case, in the header's order; 1 without a value, 0 for a wrong one."""
    return dict(_option(part) for part in header.lower().split(","))


def _option(part: str) -> tuple[str, float]:
    name, _, parameter = part.partition(";")
    _, _, value = parameter.partition("=")
    try:
        quality = float(value) if parameter.strip() else 1.0
    except ValueError:
        quality = 0.0
    return name.strip(), quality if 0 <= quality <= 1 else 0.0
