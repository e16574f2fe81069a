"""A copy of deploy/gateway/ for this machine: with ports, servers and a certificate in place of the examples."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.configuration.roles import Role
from scripts.dev_stack.paths import write_own_file
from scripts.gateway.generated_files import FOLDER

TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
"""nginx's folders for bodies that do not fit into its memory."""


@dataclass(frozen=True, kw_only=True)
class GatewayConfiguration:
    folder: Path
    """Where the copy is; nginx writes its files here, too."""
    tls_port: int
    plain_port: int | None
    """Port on which plain requests are redirected; None if there is none."""
    upstreams: Mapping[Role, Sequence[int]]
    """Ports of the API's processes on this machine."""
    certificate: Path
    """Certificate and key, which the services' user can read."""
    replaced: tuple[tuple[str, str], ...] = ()
    """Further texts of the files, and what replaces them."""

    @property
    def path(self) -> Path:
        return self.folder / "nginx.conf"

    def write(self) -> None:
        """Write all files. Raises: ValueError if the examples do not contain what is to be replaced."""
        files = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.conf")}
        files["upstreams.conf"] = _with_servers(files["upstreams.conf"], self.upstreams)
        files["nginx.conf"] = self._with_paths(files["nginx.conf"])
        for old, new in self.replaced:
            if not any(old in text for text in files.values()):
                raise ValueError(f"deploy/gateway does not contain: {old}")
            files = {name: text.replace(old, new) for name, text in files.items()}
        for name, text in files.items():
            write_own_file(self.folder / name, text)

    @property
    def _plain_address(self) -> str:
        return f"unix:{self.folder}/plain" if self.plain_port is None else f"127.0.0.1:{self.plain_port}"

    def _with_paths(self, text: str) -> str:
        folders = "".join(f"    {name}_temp_path {self.folder}/{name};\n" for name in TEMPORARY)
        edits = {
            "http {\n": f"http {{\n{folders}",
            "        listen [::]:80 default_server;\n": "",
            "        listen [::]:443 ssl http2 default_server;\n": "",
            "listen 80 ": f"listen {self._plain_address} ",
            "listen 443 ": f"listen 127.0.0.1:{self.tls_port} ",
            "https://$server_name$request_uri": f"https://$server_name:{self.tls_port}$request_uri",
            "api.example.org": "127.0.0.1 localhost",
            "/etc/nginx/tls/fullchain.pem": str(self.certificate),
            "/etc/nginx/tls/privkey.pem": str(self.certificate),
            "/var/cache/nginx/smarttrip": f"{self.folder}/cache",
        }
        for old, new in edits.items():
            if old not in text:
                raise ValueError(f"deploy/gateway/nginx.conf does not contain: {old}")
            text = text.replace(old, new)
        return f"pid {self.folder}/pid;\nerror_log {self.folder}/errors;\n{text}"


def _with_servers(text: str, upstreams: Mapping[Role, Sequence[int]]) -> str:
    def replace(block: re.Match[str]) -> str:
        servers = [
            re.sub(r"server \S+", f"server 127.0.0.1:{port}", line)
            # Of the example's lines the first stands for the processes, the last for them as backups.
            for line in (block["first"], block["last"])
            for port in upstreams[block["role"]]  # type: ignore[index]
        ]
        return block["before"] + "".join(servers)

    server = "    server [^\n]*\n"
    lines = f"(?P<first>{server})(?:{server})*(?P<last>{server})"
    return re.sub(rf"(?P<before>upstream (?P<role>\w+) {{\n(?:(?!    server )[^\n]*\n)*){lines}", replace, text)
