"""The password of a service: generated once, in a file in the service's folder that its user alone can read."""

import re
import secrets
from pathlib import Path

from scripts.dev_stack.paths import write_own_file


def password_file(folder: Path) -> Path:
    return folder / "password"


def create_password(folder: Path) -> str:
    """Return the password of the service in `folder`; generate it if there is none."""
    path = password_file(folder)
    if not path.exists():
        write_own_file(path, secrets.token_hex(32))
    return path.read_text()


def credentials(folder: Path, user: str = "") -> str:
    """Return what a URL has before the host: nothing but the user for a service started before it had a password."""
    path = password_file(folder)
    return f"{user}:{path.read_text()}@" if path.exists() else f"{user}@" if user else ""


def hide_password(url: str | None) -> str | None:
    """Return a URL to show, if there is one: without its password."""
    return url and re.sub(r"(?<=:)[^:@/]+(?=@)", "***", url, count=1)
