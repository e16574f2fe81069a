"""Whether a TCP port can be listened on."""

import errno
import socket

from scripts.errors import CliError, ExitCode


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    try:
        _bind(port, host)
    except OSError:
        return False
    return True


def require_free(port: int, host: str = "127.0.0.1", *, port_name: str = "PORT", host_name: str = "HOST") -> None:
    """Return if the port can be listened on; the names are those of the settings or options that chose them.

    Raises: CliError, which says what is in the way.
    """
    try:
        _bind(port, host)
    except (OSError, UnicodeError, TypeError) as error:
        # Python has a TypeError for a host that it cannot encode.
        code = getattr(error, "errno", None)
        if code == errno.EADDRINUSE:
            raise port_taken(port, port_name) from None
        if code == errno.EACCES:
            raise CliError(
                f"Port {port} needs more rights; choose 1024 or higher with {port_name}.", ExitCode.PORT
            ) from None
        raise CliError(
            f'{host_name} should be an address of this machine, not "{host}".',
            ExitCode.USAGE if host_name.startswith("--") else ExitCode.SETTING,
        ) from None


def port_taken(port: int, name: str) -> CliError:
    return CliError(f"Port {port} is taken; choose another one with {name}.", ExitCode.PORT)


def _bind(port: int, host: str) -> None:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
