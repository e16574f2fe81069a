"""Read the metrics of processes."""

import time
import urllib.request
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPException

from prometheus_client.parser import text_string_to_metric_families

from scripts.connection_failures import describe_failure

TIMEOUT_SECONDS = 5.0


Labels = frozenset[tuple[str, str]]
Samples = Mapping[str, Mapping[Labels, float]]
"""Values of the series of one process, by name and labels."""


@dataclass(frozen=True)
class Scrape:
    """The samples of all processes at one time."""

    at: float
    """Seconds of a monotonic clock."""
    processes: Mapping[str, Samples]
    """By address."""
    failures: Mapping[str, str]
    """Why a process could not be read, by its address."""

    def series(self, name: str, **labels: str) -> Iterator[tuple[str, Labels, float]]:
        """Yield address, labels and value of the series that have these labels, of all processes."""
        wanted = labels.items()
        for address, samples in self.processes.items():
            for found, value in samples.get(name, {}).items():
                if wanted <= found:
                    yield address, found, value

    def total(self, name: str, **labels: str) -> float:
        return sum(value for _, _, value in self.series(name, **labels))

    def highest(self, name: str, **labels: str) -> float | None:
        return max((value for _, _, value in self.series(name, **labels)), default=None)

    def labels(self, name: str, label: str) -> list[str]:
        """Return the values of a label, sorted."""
        return sorted({value for _, labels, _ in self.series(name) for key, value in labels if key == label})


def scrape(addresses: Sequence[str]) -> Scrape:
    processes: dict[str, Samples] = {}
    failures: dict[str, str] = {}
    for address in addresses:
        try:
            processes[address] = parse(_read(f"{address}/metrics"))
        except (OSError, HTTPException, ValueError) as error:
            failures[address] = describe_failure(error)
    return Scrape(time.monotonic(), processes, failures)


def parse(text: str) -> Samples:
    """Return the samples that a process exports."""
    samples: defaultdict[str, dict[Labels, float]] = defaultdict(dict)
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            samples[sample.name][frozenset(sample.labels.items())] = sample.value
    return samples


def _read(url: str) -> str:
    with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as response:  # noqa: S310 -- the command checks the scheme.
        text: str = response.read().decode()
        return text
