"""From preferences to the response of `POST /api/v2/recommendations`: cache, engine, fallbacks, serialisation."""
