"""Monthly prices in dollars: those of the platform's proposal of January 2026, the middle of each range."""

from collections.abc import Mapping

DATE = "January 2026"
PRICES: Mapping[str, float] = {
    # An instance of the API or a worker of one core.
    "instance": 25,
    "redis": 15,
    # Of a node of a managed service.
    "elasticsearch": 65,
    "postgres": 25,
    "monitoring": 25,
}
