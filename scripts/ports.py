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


def require_free(port: int, host: str = "127.0.0.1") -> None:
    """Raises CliError, which says why, if the port cannot be listened on."""
    try:
        _bind(port, host)
    except (OSError, UnicodeError) as error:
        code = getattr(error, "errno", None)
        if code == errno.EADDRINUSE:
            raise port_taken(port) from None
        if code == errno.EACCES:
            raise CliError(f"Port {port} needs more rights; choose 1024 or higher with PORT.", ExitCode.PORT) from None
        raise CliError(f'HOST should be an address of this machine, not "{host}".', ExitCode.SETTING) from None


def port_taken(port: int) -> CliError:
    return CliError(f"Port {port} is taken; choose another one with PORT.", ExitCode.PORT)


def _bind(port: int, host: str) -> None:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
