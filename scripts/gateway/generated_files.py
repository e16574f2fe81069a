"""Write the files of deploy/gateway/ that are made from code: `make generate`."""

from pathlib import Path

from scripts.gateway import NOTICE
from scripts.gateway.errors import error_headers_conf, error_pages_conf, errors_conf
from scripts.gateway.roles import large_bodies_conf, public_paths_conf, roles_conf

FOLDER = Path(__file__).parents[2] / "deploy" / "gateway"


def generated_files() -> dict[str, str]:
    """Return the content of each generated file, by its name in deploy/gateway/."""
    parts = {
        "roles.conf": roles_conf(),
        "errors.conf": errors_conf(),
        "error_headers.conf": error_headers_conf(),
        "error_pages.conf": error_pages_conf(),
        "large_bodies.conf": large_bodies_conf(),
        "public_paths.conf": public_paths_conf(),
    }
    return {name: f"{NOTICE}{content}\n" for name, content in parts.items()}


def main() -> None:
    for name, content in generated_files().items():
        (FOLDER / name).write_text(content, encoding="utf-8")


if __name__ == "__main__":
    main()
