"""Weight sets: the points of all rules under a name. One that is stored never changes; a change is a new version."""

from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256

from schemas.weight_sets import PLATFORM
from scoring.weights import PLATFORM_WEIGHTS, Weights


@dataclass(frozen=True)
class WeightSet:
    reference: str
    """Such as `summer@2`, the second version of `summer`; or PLATFORM."""
    weights: Weights

    @cached_property
    def key(self) -> str:
        """Part of cache keys: equal only for the same reference with the same points, in all releases."""
        digest = sha256(self.weights.model_dump_json().encode()).hexdigest()[:12]
        return f"{self.reference}-{digest}"


PLATFORM_SET = WeightSet(PLATFORM, PLATFORM_WEIGHTS)
