"""The age of the demo's data: they are deleted when their departures have left, or the sample is made differently."""

import shutil
from datetime import date, timedelta
from hashlib import sha256
from pathlib import Path

from scripts import sample_data

MOST_DAYS = 30
RECORD = "catalogue"
"""File in the demo's folder: the day on which the catalogue was made, and from which sources."""


def record_catalogue(data: Path, today: date) -> None:
    (data / RECORD).write_text(f"{today} {_sources()}")


def discard_outdated(data: Path, today: date) -> None:
    """Delete what is in the folder of a stopped stack, unless its catalogue is of this sample and recent."""
    record = data / RECORD
    if record.exists():
        day, sources = record.read_text().split()
        if sources == _sources() and today - date.fromisoformat(day) <= timedelta(days=MOST_DAYS):
            return
    for item in data.iterdir():
        if item.is_dir():
            shutil.rmtree(item)


def _sources() -> str:
    """Return a hash that changes with the sample."""
    files = sorted(Path(sample_data.__file__).parent.glob("*.py"))
    return sha256(b"".join(path.read_bytes() for path in files)).hexdigest()
