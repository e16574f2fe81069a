"""Texts of whole error responses.

The web client repeats a request by itself if the message of a 503 holds "connection" or "timeout", and shows its page
for a trip that does not exist if that of a 404 holds "not found" or "404": in every language.
"""

from schemas.messages.text import Text

RESPONSES = {
    "invalid_fields": Text("Please correct: {fields}.", "יש לתקן: {fields}."),
    "body_incomplete": Text("The request ended before its body did.", "הבקשה הסתיימה לפני סוף גוף הבקשה."),
    "request_malformed": Text(
        "The request cannot be read: it is not HTTP/1.1, or its head is too long.",
        "לא ניתן לקרוא את הבקשה: היא אינה HTTP/1.1, או שהכותרות ארוכות מדי.",
    ),
    "feature_not_implemented": Text(
        "The request needs what is not implemented here: CONNECT, or a transfer coding other than chunked.",
        "הבקשה דורשת יכולת שאינה נתמכת כאן: CONNECT, או קידוד העברה שאינו chunked.",
    ),
    "version_not_supported": Text(
        "The request's version of HTTP is not supported: it should be HTTP/1.1.",
        "גרסת ה-HTTP של הבקשה אינה נתמכת: יש להשתמש ב-HTTP/1.1.",
    ),
    "request_refused": Text("{reason}", "הבקשה נדחתה: {reason}"),
    "credentials_required": Text(
        "Please send the token of an administrator, or the service key.",
        "יש לשלוח אסימון של מנהל מערכת או את מפתח השירות.",
    ),
    "administrators_only": Text("This is for administrators only.", "הפעולה מיועדת למנהלי מערכת בלבד."),
    "metrics_not_allowed": Text(
        "This address may not read the metrics; METRICS_ALLOWED lists those that may.",
        "לכתובת זו אין הרשאה לקרוא את המדדים; הכתובות המורשות רשומות ב-METRICS_ALLOWED.",
    ),
    "endpoint_not_found": Text("Endpoint not found", "הכתובת המבוקשת לא נמצאה (404)"),
    "company_not_found": Text("Company not found", "החברה לא נמצאה (404)"),
    "country_not_found": Text("Country not found", "המדינה לא נמצאה (404)"),
    "guide_not_found": Text("Guide not found", "המדריך לא נמצא (404)"),
    "occurrence_not_found": Text("Occurrence not found", "מועד הטיול לא נמצא (404)"),
    "template_not_found": Text("Template not found", "הטיול לא נמצא (404)"),
    "scenario_not_found": Text("Scenario {ids} not found", "התרחיש {ids} לא נמצא (404)"),
    "scenarios_not_found": Text("Scenarios {ids} not found", "התרחישים {ids} לא נמצאו (404)"),
    "weights_not_found": Text(
        "Weight set not found; `smarttrip weights list` has those that are stored",
        "סט המשקלות לא נמצא (404); הסטים השמורים מופיעים ב-`smarttrip weights list`",
    ),
    "method_not_allowed": Text("Method not allowed here", "השיטה אינה מותרת בכתובת זו"),
    "request_timeout": Text("The request took too long to arrive.", "הבקשה הגיעה לאט מדי ונקטעה."),
    "evaluation_running": Text(
        "Another evaluation is running. Please try again when it has ended.",
        "הערכה אחרת רצה כעת. אפשר לנסות שוב בסיומה.",
    ),
    "body_too_large": Text(
        "The request body is too large: it may have {limit} KiB.",
        "גוף הבקשה גדול מדי: מותר עד {limit} KiB.",
    ),
    "json_required": Text(
        "Please send JSON, with the content type application/json", "יש לשלוח JSON, עם סוג התוכן application/json"
    ),
    "encoding_not_supported": Text(
        "Please send the body without Content-Encoding, or with one of: {accepted}",
        "יש לשלוח את גוף הבקשה ללא Content-Encoding, או עם אחד מאלה: {accepted}",
    ),
    "rate_limited": Text(
        "You have made too many requests. Please wait {seconds} seconds and try again.",
        "נשלחו יותר מדי בקשות. יש להמתין {seconds} שניות ולנסות שוב.",
    ),
    "internal": Text("Something went wrong on our side. Please try again.", "משהו השתבש אצלנו. אפשר לנסות שוב."),
    "backend_unavailable": Text(
        "The connection to {backend} is not working at the moment. Please try again shortly.",
        "החיבור אל {backend} אינו פועל כרגע. אפשר לנסות שוב בעוד רגע. (connection)",
    ),
    "database_lacks_what_is_needed": Text(
        "The database lacks a table, a column or a right that the service needs for this. Please try again later.",
        "במסד הנתונים חסרה טבלה, עמודה או הרשאה שהשירות זקוק לה כדי להשיב. אפשר לנסות שוב מאוחר יותר.",
    ),
    "database_is_locked": Text(
        "The connection to the database waits for a lock: process {pid} of Postgres holds {locks}. Please try again"
        " shortly.",
        "החיבור אל מסד הנתונים ממתין לנעילה: תהליך {pid} של Postgres מחזיק ב-{locks}. אפשר לנסות שוב בעוד רגע."
        " (connection)",
    ),
    "service": Text("the service", "השירות"),
    "database": Text("the database", "מסד הנתונים"),
    "redis": Text("Redis", "Redis"),
    "search_index": Text("the search index", "אינדקס החיפוש"),
    "job_queue": Text("the queue of jobs", "תור המשימות"),
    "overloaded": Text(
        "There are too many connections at the moment. Please try again shortly.",
        "יש כרגע עומס חיבורים. אפשר לנסות שוב בעוד רגע. (connection)",
    ),
    "response_timeout": Text(
        "The answer was not ready before its timeout. Please try again shortly.",
        "התשובה לא הייתה מוכנה בזמן. אפשר לנסות שוב בעוד רגע. (timeout)",
    ),
    "draining": Text("This process is ending.", "התהליך הזה בסיום."),
    "index_not_fed": Text(
        "No worker feeds the search index of this release any more.",
        "אף תהליך רקע אינו מעדכן עוד את אינדקס החיפוש של גרסה זו.",
    ),
    "index_not_built": Text(
        "The search index of this release has not been built yet.", "אינדקס החיפוש של גרסה זו עדיין לא נבנה."
    ),
}
