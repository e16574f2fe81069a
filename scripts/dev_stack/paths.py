"""Folders of the services and the cache, readable by the user that runs the services."""

import os
import shutil
from collections.abc import Callable
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from scripts.dev_stack.file_lock import locked
from scripts.errors import CliError, ExitCode

NOBODY = 65534


def service_user() -> int | None:
    """Return the user id that root runs the services as (Postgres rejects root), or None for the current user."""
    return NOBODY if os.geteuid() == 0 else None


def reachable(path: Path) -> bool:
    """Return whether the services' user may enter the folder, as far as its path exists."""
    if service_user() is None:
        return True
    return all(folder.stat().st_mode & 0o001 for folder in (path, *path.parents) if folder.exists())


def cache_root() -> Path:
    """Return the user's cache folder; for root the machine's, if the services' user cannot enter root's own."""
    own = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").absolute()
    return (own if reachable(own) else Path("/var/cache")) / "smarttrip"


def open_folder(path: Path) -> Path:
    """Create a folder that the services' user may enter, whatever the umask. Raises CliError if that is impossible."""
    if not str(path).isprintable():
        # initdb refuses some of them, with a text of its own.
        raise CliError(f"{str(path)!r} has characters that are not printable; choose another folder.", ExitCode.USAGE)
    if not path.exists():
        open_folder(path.parent)
        _create(path)
    elif not reachable(path) and not any(path.iterdir()):
        # As mktemp creates it: it is empty, so nothing in it could be private.
        path.chmod(0o711)
    if not reachable(path):
        raise CliError(f"As root, the services run as user {NOBODY}, who cannot enter {path}; choose another folder.")
    return path


def _create(path: Path) -> None:
    try:
        path.mkdir(exist_ok=True)
        path.chmod(0o755)
    except OSError as error:
        raise CliError(f"{path} can't be created: {error.strerror}; choose another folder.", ExitCode.USAGE) from None


def own_folder(path: Path) -> Path:
    """Create a folder that belongs to the services' user alone."""
    path.mkdir(mode=0o700, exist_ok=True)
    path.chmod(0o700)
    _give_to_services(path)
    return path


def write_own_file(path: Path, text: str) -> None:
    """Write a file that the services' user alone may read; it is there as a whole or not at all."""
    scratch = path.with_name(f"{path.name}.new")
    scratch.unlink(missing_ok=True)
    scratch.touch(mode=0o600)
    scratch.write_text(text)
    _give_to_services(scratch)
    scratch.rename(path)


def _give_to_services(path: Path) -> None:
    user = service_user()
    if user is not None:
        os.chown(path, user, user)


def build_once(target: Path, build: Callable[[Path], None]) -> Path:
    """Build a folder under a temporary name and rename it when complete; concurrent callers wait for the first."""
    if target.exists():
        return target
    open_folder(target.parent)
    with locked(target.with_name(f"{target.name}.lock")):
        if not target.exists():
            scratch = target.with_name(f"{target.name}.new")
            # Left by a killed build.
            shutil.rmtree(scratch, ignore_errors=True)
            try:
                build(open_folder(scratch))
                _make_readable(scratch)
                scratch.rename(target)
            finally:
                shutil.rmtree(scratch, ignore_errors=True)
    return target


def package_folder(name: str) -> Path:
    """Return the folder of an installed package, or of a copy in the cache if the services' user cannot enter it."""
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        raise CliError(f"The package {name} is not installed; run ./scripts/setup.")
    folder = Path(spec.origin).parent
    if reachable(folder):
        return folder
    return build_once(cache_root() / f"{name}-{version(name)}", lambda scratch: _copy(folder, scratch)) / name


def _copy(package: Path, target: Path) -> None:
    """Copy a package and the shared libraries that its wheel puts next to it."""
    for folder in (package, package.with_name(f"{package.name}.libs")):
        if folder.exists():
            shutil.copytree(folder, target / folder.name, symlinks=True)


def _make_readable(tree: Path) -> None:
    """Let the services' user read and run the files, whatever our umask."""
    for path in tree.rglob("*"):
        if not path.is_symlink():
            mode = path.stat().st_mode
            path.chmod(mode | (0o555 if path.is_dir() or mode & 0o100 else 0o444))
