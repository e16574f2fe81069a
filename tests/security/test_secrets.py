"""No secret is in the repository. Tests are excluded, because theirs are made up."""

import subprocess
import sys
from pathlib import Path
from secrets import token_hex

import pytest

ROOT = Path(__file__).parents[2]
SCAN = Path(sys.executable).with_name("detect-secrets-hook")
PLACEHOLDERS = "user:password@host|smarttrip:PASSWORD@|secretName: "
"""Addresses in examples, and the name of an object that holds a certificate."""
NO_SECRETS = ("--exclude-files", r"^tests/|\.lock$|\.sha256$", "--exclude-lines", PLACEHOLDERS)
"""Excludes hashes and placeholders."""

pytestmark = pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a repository")


def scan(*files: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([SCAN, *NO_SECRETS, *files], cwd=ROOT, capture_output=True, text=True, check=False)


def test_no_file_contains_a_secret() -> None:
    files = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    found = scan(*files)
    assert (found.returncode, found.stdout) == (0, "")


def test_scan_detects_a_secret(tmp_path: Path) -> None:
    file = tmp_path / "settings.py"
    file.write_text(f'ADMIN_KEY = "{token_hex(32)}"\n')
    assert scan(str(file)).returncode == 1


def test_env_file_is_ignored_by_git() -> None:
    assert ".env" in (ROOT / ".gitignore").read_text().split()
