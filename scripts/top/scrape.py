"""Read the metrics of processes."""

import time
import urllib.request
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPException

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from scripts.connection_failures import describe_failure

TIMEOUT_SECONDS = 5.0


@dataclass(frozen=True)
class Scrape:
    """The samples of all processes at one time."""

    at: float
    """Seconds of a monotonic clock."""
    samples: Mapping[str, Sequence[Sample]]
    """By name."""
    failures: Mapping[str, str]
    """Why a process could not be read, by its address."""

    def values(self, name: str, **labels: str) -> list[float]:
        """Return the values of the series that have these labels, of all processes."""
        return [sample.value for sample in self.samples.get(name, ()) if labels.items() <= sample.labels.items()]

    def total(self, name: str, **labels: str) -> float:
        return sum(self.values(name, **labels))

    def highest(self, name: str, **labels: str) -> float | None:
        return max(self.values(name, **labels), default=None)

    def labels(self, name: str, label: str) -> list[str]:
        """Return the values of a label, sorted."""
        return sorted({sample.labels[label] for sample in self.samples.get(name, ()) if label in sample.labels})


def scrape(addresses: Sequence[str]) -> Scrape:
    texts: list[str] = []
    failures: dict[str, str] = {}
    for address in addresses:
        try:
            texts.append(_read(f"{address}/metrics"))
        except (OSError, HTTPException, ValueError) as error:
            failures[address] = describe_failure(error)
    return Scrape(time.monotonic(), parse(texts), failures)


def parse(texts: Iterable[str]) -> dict[str, list[Sample]]:
    """Return the samples of several processes, by name."""
    samples: defaultdict[str, list[Sample]] = defaultdict(list)
    for text in texts:
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                samples[sample.name].append(sample)
    return samples


def _read(url: str) -> str:
    with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as response:  # noqa: S310 -- the command checks the scheme.
        text: str = response.read().decode()
        return text
