"""Names and addresses of hosts."""

from urllib.parse import SplitResult, urlsplit


def is_host(name: str) -> bool:
    """Return whether a name has the form in which hosts are looked up: no empty part, and none above 63 characters."""
    try:
        return bool(name.encode("idna"))
    except UnicodeError:
        return False


def has_address(parts: SplitResult) -> bool:
    """Return whether the host and the port of a URL can be those of a server.

    Raises: ValueError if the port is no number up to 65535.
    """
    return is_host(parts.hostname or "") and parts.port != 0


def is_http_url(text: str) -> bool:
    """Return whether a text is `http://host:port` or `https://host:port`, with a host and a port that can be."""
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and has_address(parts)
    except ValueError:
        # A port beyond 65535, or half of an IPv6 address.
        return False
