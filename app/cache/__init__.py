"""Finished answers, kept in the process and in Redis."""

from app.cache.body import CachedBody
from app.cache.cache import Cache, Fill
from app.cache.generations import ALL_KINDS, Generations, Kind
from app.cache.shared import SharedLevel

__all__ = ["ALL_KINDS", "Cache", "CachedBody", "Fill", "Generations", "Kind", "SharedLevel"]
