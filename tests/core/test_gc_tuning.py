"""Garbage collection around the start of a process."""

import subprocess
import sys


def test_collections_pause_until_they_are_tuned() -> None:
    """In a process of its own: it changes the collector for good."""
    code = (
        "import gc; from core.gc_tuning import pause_gc, tune_gc\n"
        "pause_gc(); print(gc.isenabled(), gc.get_freeze_count())\n"
        "tune_gc(); print(gc.isenabled(), gc.get_freeze_count() > 0)\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "False 0\nTrue True\n"
