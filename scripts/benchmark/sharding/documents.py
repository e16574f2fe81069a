"""Index documents of a sample catalogue, made without a database, as bulk requests in files.

Large catalogues are made in blocks, of which each has templates of its own: no process holds the templates of all.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import date
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from indexer.documents.builder import make_document
from indexer.documents.templates import TemplateDocument, make_template
from indexer.index.bulk_writer import BODY_BYTES, bodies
from schemas.api import entities
from schemas.enums import PRIVATE_GROUPS, Continent, Gender
from scoring.context import SearchLookups
from scripts import sample_data
from scripts.benchmark.load.workload import Ids
from scripts.benchmark.sharding.layouts import Part
from scripts.sample_data.countries import all_countries
from scripts.sample_data.rows import Row
from scripts.sample_data.trip_types import TAG_IDS, TYPE_IDS

BLOCK = 100_000
"""Departures."""
VERSION = 1
"""Write version of all documents."""


@dataclass(frozen=True)
class BlockFile:
    """Bulk requests with the documents of one part, one after the other in a file."""

    part: Part
    path: Path
    sizes: Sequence[int]
    documents: int

    def read(self) -> Iterator[bytes]:
        with self.path.open("rb") as file:
            for size in self.sizes:
                yield file.read(size)


def write_documents(folder: Path, departures: int, seed: int, today: date) -> list[BlockFile]:
    """Write the documents, with a process for each processor."""
    firsts = range(0, departures, BLOCK)
    with ProcessPoolExecutor() as pool:
        write = partial(_write_block, folder, departures, seed, today)
        return [file for files in pool.map(write, firsts) for file in files]


def _write_block(folder: Path, departures: int, seed: int, today: date, first: int) -> list[BlockFile]:
    by_part: dict[Part, dict[int, bytes]] = defaultdict(dict)
    files = []
    for part, number, document in make_documents(min(BLOCK, departures - first), seed + first, today, first):
        by_part[part][number] = document
    for number, (part, documents) in enumerate(by_part.items()):
        path = folder / f"{first}-{number}.ndjson"
        with path.open("wb") as file:
            sizes = [file.write(body) for body in _bulk_bodies(documents)]
        files.append(BlockFile(part, path, sizes, len(documents)))
    return files


def _bulk_bodies(documents: dict[int, bytes]) -> Iterator[bytes]:
    for body in bodies(VERSION, documents, BODY_BYTES):
        yield b"\n".join(lines for _, lines in body.operations) + b"\n"


def make_documents(count: int, seed: int, today: date, first: int = 0) -> Iterator[tuple[Part, int, bytes]]:
    """Yield part, id and JSON of each departure of the catalogue that `sample_data.seed` loads; ids follow `first`."""
    tables = sample_data.tables(count, seed, today)
    stored = {name: list(rows) for name, rows in islice(tables, 7)}
    templates = _templates(stored)
    guides = {row["id"]: entities.to_json(_entity(entities.Guide, _guide(row))) for row in stored["guides"]}
    for row in _departures(tables):
        template = templates[row["trip_template_id"]]
        departure = {**row, "id": row["id"] + first}
        part = Part(row["start_date"].year, template.fields["continent"])
        yield part, departure["id"], make_document(departure, template, guides.get(row["guide_id"], b"null"))


def _departures(tables: Iterable[tuple[str, Iterable[Row]]]) -> Iterable[Row]:
    return next(rows for name, rows in tables if name == "trip_occurrences")


def _templates(stored: dict[str, list[Row]]) -> dict[int, TemplateDocument]:
    companies = {row["id"]: _entity(entities.Company, row) for row in stored["companies"]}
    types = {row["id"]: _entity(entities.TripType, row) for row in stored["trip_types"]}
    tags = {row["id"]: _entity(entities.Tag, row) for row in stored["tags"]}
    countries = {row["id"]: _entity(entities.Country, _country(row)) for row in stored["countries"]}
    tag_ids: dict[int, list[int]] = defaultdict(list)
    for row in stored["trip_template_tags"]:
        tag_ids[row["trip_template_id"]].append(row["tag_id"])
    return {
        row["id"]: make_template(
            {
                **row,
                "company": companies[row["company_id"]],
                "trip_type": types.get(row["trip_type_id"]),
                "primary_country": countries.get(row["primary_country_id"]),
                "tags": [tags[tag] for tag in sorted(tag_ids[row["id"]])],
            }
        )
        for row in stored["trip_templates"]
    }


def _country(row: Row) -> Row:
    return {**row, "continent": Continent[row["continent"]]}


def _guide(row: Row) -> Row:
    return {**row, "gender": Gender[row["gender"]]}


def _entity(entity: type[Any], row: Row) -> Any:
    """Return the entity; columns that the sample data leaves out are null."""
    return entity.model_validate({name: row.get(name) for name in entity.model_fields})


def lookups() -> SearchLookups:
    return SearchLookups(
        private_type_id=TYPE_IDS[PRIVATE_GROUPS],
        continents={country.id: str(country.continent) for country in all_countries()},
    )


def ids(today: date) -> Ids:
    """Return the ids that searches choose from."""
    countries = sorted(country.id for country in all_countries())
    return Ids(countries, sorted(TYPE_IDS.values()), sorted(TAG_IDS.values()), today.year)
