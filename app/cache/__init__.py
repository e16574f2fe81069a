"""Finished answers, kept in the process and in Redis."""

from app.cache.invalidation import InvalidationState
from app.cache.redis_store import RedisStore
from app.cache.response_cache import Loader, ResponseCache
from app.http.encoded_body import EncodedBody

__all__ = ["EncodedBody", "InvalidationState", "Loader", "RedisStore", "ResponseCache"]
