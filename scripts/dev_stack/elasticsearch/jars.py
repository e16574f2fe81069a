"""Fetch the jars of Elasticsearch from Maven Central and check each against a committed SHA-256 checksum."""

import hashlib
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import jgo
import truststore

from scripts.connection_failures import OTHER, describe_failure
from scripts.errors import CliError

VERSION = "9.5.3"
SERVER = f"org.elasticsearch:elasticsearch:{VERSION}"
TRANSPORT = f"org.elasticsearch.plugin:transport-netty4:{VERSION}"
COMPILER = "org.eclipse.jdt:ecj:3.43.0"

SECONDS_BETWEEN_LINES = 2

SUMS = Path(__file__).with_name("jars.sha256")


def fetch(coordinate: str) -> list[Path]:
    """Return an artifact and its dependencies. Raises CliError if a jar is unavailable or its checksum differs."""
    sums = _sums()
    # jgo would trust its own list of authorities only, not one that the system's owner has added.
    truststore.inject_into_ssl()
    try:
        return list(_fetch_each(coordinate, sums))
    except (OSError, RuntimeError) as error:
        raise CliError(
            f"{coordinate} could not be fetched from Maven Central: {_reason(error)}; what has been fetched is kept."
        ) from error
    finally:
        truststore.extract_from_ssl()


def _reason(error: BaseException) -> str:
    """Return why, in our own words where the connection failed, otherwise in the library's."""
    reason = describe_failure(error)
    return f"{error}" if reason == OTHER else reason


def _fetch_each(coordinate: str, sums: dict[str, str]) -> Iterator[Path]:
    """Yield the jars; print how far it is every SECONDS_BETWEEN_LINES."""
    artifacts = jgo.resolve(coordinate)
    started = printed = time.monotonic()
    size = 0
    for number, artifact in enumerate(artifacts, 1):
        jar = _checked(artifact, sums)
        size += jar.stat().st_size
        yield jar
        if time.monotonic() - printed >= SECONDS_BETWEEN_LINES:
            printed = time.monotonic()
            _print(f"{number} of {len(artifacts)} jars, {size / 1e6:.0f} MB, {printed - started:.0f} s")


def _print(line: str) -> None:
    print(f"Elasticsearch {VERSION}: {line}", file=sys.stderr, flush=True)


def pin() -> None:
    """Write the checksums of the published jars, for an upgrade; review what changed."""
    jars = {jar.name: jar for coordinate in (SERVER, TRANSPORT, COMPILER) for jar in _published(coordinate)}
    SUMS.write_text("".join(f"{_sum(jars[name])}  {name}\n" for name in sorted(jars)))


def _published(coordinate: str) -> Iterator[Path]:
    return (artifact.resolve() for artifact in jgo.resolve(coordinate))


def _sums() -> dict[str, str]:
    pairs = (line.split() for line in SUMS.read_text().splitlines())
    return {name: checksum for checksum, name in pairs}


def _checked(artifact: "jgo.maven.Artifact", sums: dict[str, str]) -> Path:
    jar = artifact.resolve()
    if _sum(jar) != sums.get(jar.name):
        # An interrupted download looks like a foreign file; fetch it once more.
        _print(f"{jar.name} is incomplete or damaged; fetching it again ...")
        jar.unlink()
        jar = artifact.resolve()
    if _sum(jar) != sums.get(jar.name):
        raise CliError(f"{jar} does not have the checksum in {SUMS.name}; Elasticsearch was not installed.")
    return jar


def _sum(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
