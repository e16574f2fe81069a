"""The index document held against a recorded one, so that no change of its shape goes without a new version."""

import json
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy.ext.asyncio import AsyncEngine

from indexer.documents.builder import build_documents
from indexer.documents.rows import snapshot
from schemas.document_fields import MAPPING
from schemas.enums import Continent
from schemas.index_document import DOCUMENT_VERSION, INDEX_SETTINGS
from tests.support.factories import CatalogueFactory

GOLDEN = Path(__file__).with_name("golden_document.json")


async def _insert_departures(catalogue: CatalogueFactory) -> list[int]:
    """Return the ids of two departures: one with every field set, one with nothing optional."""
    await catalogue.country(id=7, name="Antarctica", name_he="אנטארקטיקה", continent=Continent.ANTARCTICA)
    await catalogue.company(id=5, name="North Star", name_he="כוכב הצפון", description="<b>Expeditions</b>")
    await catalogue.trip_type(id=3, name="Cruise", name_he="הפלגה")
    await catalogue.tag(id=2, name="Wildlife", name_he="חיות בר")
    await catalogue.tag(id=1, name="Culture", name_he="תרבות")
    await catalogue.guide(id=9, name="Dana", name_he="דנה", email="dana@example.com", bio="Diver")
    await catalogue.template(
        id=11,
        title="Penguins",
        title_he="פינגווינים",
        company_id=5,
        primary_country_id=7,
        trip_type_id=3,
        tags=[2, 1],
        countries=[7],
        base_price=Decimal("4999.90"),
        image_url="https://example.com/penguins.jpg",
        difficulty_level=3,
        properties={"deck": [1, None, "\u2028"]},
    )
    await catalogue.template(id=12, title="Plain", title_he="פשוט", company_id=5)
    return [
        await catalogue.occurrence(
            id=21,
            trip_template_id=11,
            guide_id=9,
            start_date=date(2027, 2, 27),
            end_date=date(2027, 3, 2),
            price_override=Decimal("1234.50"),
            spots_left=3,
            status="Last Places",
            notes="line\nline",
        ),
        await catalogue.occurrence(id=22, trip_template_id=12),
    ]


async def test_document_matches_its_version(catalogue: CatalogueFactory, database: AsyncEngine, tmp_path: Path) -> None:
    ids = await _insert_departures(catalogue)
    async with snapshot(database) as connection:
        documents = (await build_documents(connection, ids)).documents
    made: dict[str, Any] = {
        "version": DOCUMENT_VERSION,
        "mapping": MAPPING,
        "settings": INDEX_SETTINGS,
        "documents": [orjson.loads(documents[trip_id]) for trip_id in ids],
    }
    recorded = tmp_path / GOLDEN.name
    recorded.write_text(json.dumps(made, indent=2, ensure_ascii=False, sort_keys=True) + "\n", encoding="utf-8")
    assert made == json.loads(GOLDEN.read_text(encoding="utf-8")), (
        "The index document differs from the recorded one of its version. "
        f"If that is meant, raise DOCUMENT_VERSION, run the test again and `cp {recorded} {GOLDEN}`."
    )
