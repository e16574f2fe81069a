"""Finished answers, kept in the process and in Redis."""

from app.cache.invalidation import ALL_KINDS, Generations, Kind
from app.cache.redis_store import SharedLevel
from app.cache.response_cache import Cache, Fill
from app.http.encoded_body import CachedBody

__all__ = ["ALL_KINDS", "Cache", "CachedBody", "Fill", "Generations", "Kind", "SharedLevel"]
