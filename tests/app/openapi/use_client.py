"""Use the generated Python client: `python use_client.py ADDRESS ADMIN_KEY` prints what it saw.

Runs in the environment of the generator, with the generated package beside it.
"""

# mypy: ignore-errors
# ruff: noqa: T201

import json
import sys
from uuid import UUID

from smart_trip_api_client import Client
from smart_trip_api_client.api.admin import post_api_admin_reindex
from smart_trip_api_client.api.recommendations import post_api_v2_recommendations
from smart_trip_api_client.api.resources import get_api_countries_id
from smart_trip_api_client.api.tracking import post_api_events_batch
from smart_trip_api_client.api.trips import get_api_v2_templates
from smart_trip_api_client.models import EventBatch, Preferences

address, key = sys.argv[1:]
client = Client(base_url=address, headers={"X-Admin-Key": key})
session = "1b671a64-40d5-491e-99b0-da01ff1f3341"
click = {
    "event_type": "click_trip",
    "session_id": session,
    "anonymous_id": session,
    "trip_id": 1,
    "source": "homepage",
}

search = post_api_v2_recommendations.sync(
    client=client, body=Preferences.from_dict({"selected_continents": ["Asia"], "budget": 9000})
)
batch = post_api_events_batch.sync(client=client, body=EventBatch.from_dict({"events": [click]}))
reindex = post_api_admin_reindex.sync(client=client)
missing = get_api_countries_id.sync(id=999_999, client=client)
wrong = get_api_v2_templates.sync(client=client, limit=0)

assert isinstance(search.request_id, UUID)
print(
    json.dumps(
        {
            "best": search.data[0].match_score,
            "processed": batch.processed,
            "reindex": reindex.success,
            "missing": [str(missing.code), missing.request_id],
            "wrong": [str(wrong.code), wrong.details[0].to_dict()["field"]],
        }
    )
)
