// Uses the client that openapi-fetch makes of the types: `node use_client.js ADDRESS ADMIN_KEY` prints what it saw.
import createClient from "openapi-fetch";
import type { paths } from "./schema";

const [address, key] = process.argv.slice(2);
const client = createClient<paths>({ baseUrl: address, headers: { "X-Admin-Key": key } });
const session = "1b671a64-40d5-491e-99b0-da01ff1f3341";

const search = await client.POST("/api/v2/recommendations", { body: { selected_continents: ["Asia"], budget: 9000 } });
const best: number | undefined = search.data?.data[0]?.match_score;

const batch = await client.POST("/api/events/batch", {
  body: { events: [{ event_type: "click_trip", session_id: session, anonymous_id: session, trip_id: 1, source: "homepage" }] },
});
const reindex = await client.POST("/api/admin/reindex");
const missing = await client.GET("/api/countries/{id}", { params: { path: { id: 999999 } } });
const wrong = await client.GET("/api/v2/templates", { params: { query: { limit: 0 } } });

console.log(
  JSON.stringify({
    best,
    processed: batch.data?.processed,
    reindex: reindex.data?.success,
    missing: [missing.error?.code, missing.error?.request_id],
    wrong: [wrong.error?.code, wrong.error?.details?.[0]?.field],
  }),
);
