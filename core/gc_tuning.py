"""Garbage collection in a process that creates many objects, of which hardly any are part of a reference cycle."""

import gc


def tune_gc() -> None:
    """Exclude the objects that exist now from collections, and make collections rarer."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
