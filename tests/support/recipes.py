"""A copy of the source tree, in which tests follow the recipes of CONTRIBUTING.md."""

import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass
class TreeCopy:
    path: Path
    edited: set[str] = field(default_factory=set)
    """Files that the recipe has the reader edit, relative to the root of the tree."""

    @classmethod
    def create(cls, path: Path) -> "TreeCopy":
        """Copy all files that git tracks or would add."""
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT,
            check=True,
            capture_output=True,
            text=True,
        )
        for name in filter(None, listed.stdout.split("\0")):
            if (ROOT / name).is_file():
                (path / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(ROOT / name, path / name)
        return cls(path)

    def insert_after(self, name: str, *edits: tuple[str, str]) -> None:
        """Edit a file: after each text, which must occur exactly once, insert another."""
        self.edited.add(name)
        for anchor, addition in edits:
            self.replace(name, anchor, anchor + addition)

    def replace(self, name: str, old: str, new: str) -> None:
        """Replace a text that must occur exactly once, without counting the file as edited."""
        content = (self.path / name).read_text(encoding="utf-8")
        assert content.count(old) == 1, f"{name} should contain this once, not {content.count(old)} times: {old!r}"
        (self.path / name).write_text(content.replace(old, new), encoding="utf-8")

    def run_tests(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run pytest on the modules of the copy; its rootdir comes before installed packages on the path."""
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
        return subprocess.run(command, cwd=self.path, capture_output=True, text=True, check=False)
