"""How the cache fares."""

from prometheus_client import Counter

_LOOKUPS = Counter("smarttrip_cache_lookups", "Lookups by where the answer came from", ["source"])

FROM_PROCESS = _LOOKUPS.labels("process")
FROM_REDIS = _LOOKUPS.labels("redis")
LOADED = _LOOKUPS.labels("fill")
STALE = _LOOKUPS.labels("stale")

REDIS_ERRORS = Counter(
    "smarttrip_cache_redis_errors", "Times that the cache did without Redis, which failed or was spared"
)
