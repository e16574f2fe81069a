"""Garbage collection in a process that creates many objects, of which hardly any are part of a reference cycle."""

import gc


def pause_gc() -> None:
    """Make no collections until `tune_gc`: nearly all that imports create stays, and collections find it each time."""
    gc.disable()


def tune_gc() -> None:
    """Exclude the objects that exist now from collections, and make collections rarer."""
    gc.enable()
    gc.collect()
    gc.freeze()
    gc.set_threshold(5_000, 5, 5)
