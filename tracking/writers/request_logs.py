"""Write request logs to recommendation_requests, with statistics of their scores."""

from collections.abc import Sequence

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

STORE = text("""
INSERT INTO recommendation_requests (
    request_id, session_id, user_id, created_at, preferences, selected_countries, selected_continents,
    preferred_type_id, preferred_theme_ids, min_duration, max_duration, budget, difficulty, year, month,
    response_time_ms, total_candidates, primary_count, relaxed_count, final_count, has_relaxed_results, has_no_results,
    top_score, avg_score, min_score, score_std_dev, result_trip_ids, result_scores, algorithm_version
)
SELECT
    request_id, entry.session_id, sessions.user_id, entry.created_at, preferences, selected_countries,
    selected_continents, preferred_type_id, preferred_theme_ids, min_duration, max_duration, budget, difficulty, year,
    month, response_time_ms, total_candidates, primary_count, relaxed_count, cardinality(result_trip_ids),
    relaxed_count > 0, cardinality(result_trip_ids) = 0, top, average, lowest, deviation, result_trip_ids,
    result_scores, algorithm_version
FROM jsonb_to_recordset(CAST(:requests AS jsonb)) AS entry (
    request_id uuid, session_id text, created_at timestamptz, preferences jsonb, selected_countries integer[],
    selected_continents text[], preferred_type_id integer, preferred_theme_ids integer[], min_duration integer,
    max_duration integer, budget numeric, difficulty integer, year text, month text, response_time_ms integer,
    total_candidates integer, primary_count integer, relaxed_count integer, result_trip_ids integer[],
    result_scores numeric[], algorithm_version text
)
CROSS JOIN LATERAL (
    SELECT max(score) AS top, avg(score) AS average, min(score) AS lowest, stddev_pop(score) AS deviation
    FROM unnest(result_scores) AS score
) AS scores
LEFT JOIN sessions
    ON sessions.session_id = CASE
        WHEN entry.session_id ~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' THEN CAST(entry.session_id AS uuid)
    END
ON CONFLICT (request_id) DO NOTHING
""")


async def write_request_logs(connection: AsyncConnection, bodies: Sequence[bytes]) -> None:
    requests = b"[%b]" % b",".join(bodies)
    await connection.execute(STORE, {"requests": requests.decode(errors="replace")})
