"""Request an endpoint of the tree in the working directory, and print what a client sees as JSON.

Run by `test_endpoint_recipe.py` in a changed copy of the tree, with the path and the path template as arguments.
"""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import app
from app.endpoints.rate_limit_groups import RateLimitGroups
from app.routes import ENDPOINTS
from core import clients
from core.configuration.settings import load_settings
from tests.security.test_fields import test_fields_of_every_endpoint_are_listed
from tests.support.api.serving import serving
from tests.support.api.shared_database import database_on
from tests.support.statements import recorded_statements


async def probe(path: str, template: str) -> dict[str, Any]:
    settings = load_settings()
    engine = clients.postgres(settings.database_url)
    async with database_on(engine) as database, serving(settings, database=database) as client:
        # The first connection of an engine has statements of SQLAlchemy's own.
        await (await engine.connect()).close()
        with recorded_statements(engine) as statements:
            first = await client.get(path)
            statements_of_first = len(statements)
            second = await client.get(path)
        unchanged = await client.get(path, headers={"If-None-Match": first.headers.get("ETag", "")})
        described = (await client.get("/openapi.json")).json()["paths"]
    return {
        "tree": str(Path(app.__file__).parents[1]),
        "statuses": [first.status_code, second.status_code, unchanged.status_code],
        "statements": [statements_of_first, len(statements) - statements_of_first],
        "bodies": [first.json(), second.json()],
        "operation": described.get(template, {}).get("get"),
        "group": RateLimitGroups(ENDPOINTS).group_of("GET", path),
    }


if __name__ == "__main__":
    test_fields_of_every_endpoint_are_listed()
    sys.stdout.write(json.dumps(asyncio.run(probe(*sys.argv[1:]))))
