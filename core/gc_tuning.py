"""The garbage collector, of a process that makes many objects of which hardly any is part of a cycle."""

import gc


def tune_gc() -> None:
    """What is there by now stays; of what comes, a great deal may come before it is looked through."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
