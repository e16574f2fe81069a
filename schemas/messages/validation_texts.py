"""Texts of validation errors, by kind: those of pydantic that models of requests can give, and those of our validators.

Each continues the field's name.
"""

from schemas.messages.text import Text

OTHER_KIND = "other_kind"
"""For a kind of pydantic's that has no text here."""

PYDANTIC_KINDS = {
    "bool_parsing": Text("should be true or false", "צריך להיות true או false"),
    "bool_type": Text("should be true or false", "צריך להיות true או false"),
    "dict_type": Text("should be an object", "צריך להיות אובייקט"),
    "finite_number": Text("should be a finite number", "צריך להיות מספר סופי"),
    "float_type": Text("should be a number", "צריך להיות מספר"),
    "greater_than_equal": Text("should be at least {ge}", "צריך להיות לפחות {ge}"),
    "int_from_float": Text("should be a whole number", "צריך להיות מספר שלם"),
    "int_parsing": Text("should be a whole number", "צריך להיות מספר שלם"),
    "int_parsing_size": Text("should be a whole number of fewer digits", "צריך להיות מספר שלם עם פחות ספרות"),
    "int_type": Text("should be a whole number", "צריך להיות מספר שלם"),
    "less_than": Text("should be less than {lt}", "צריך להיות קטן מ-{lt}"),
    "less_than_equal": Text("should be at most {le}", "צריך להיות לכל היותר {le}"),
    "list_type": Text("should be a list", "צריך להיות רשימה"),
    "literal_error": Text("should be one of: {expected}", "צריך להיות אחד מאלה: {expected}"),
    "missing": Text("is required", "הוא שדה חובה"),
    "string_too_long": Text("should have at most {max_length} characters", "צריך להכיל לכל היותר {max_length} תווים"),
    "string_type": Text("should be text", "צריך להיות טקסט"),
    "too_long": Text("should have at most {max_length} entries", "צריך להכיל לכל היותר {max_length} פריטים"),
    "too_short": Text("should have at least {min_length} entries", "צריך להכיל לפחות {min_length} פריטים"),
    "uuid_parsing": Text("should be a UUID", "צריך להיות מזהה UUID"),
    "uuid_type": Text("should be a UUID", "צריך להיות מזהה UUID"),
}

OWN_KINDS = {
    OTHER_KIND: Text("is not valid ({problem})", "אינו תקין ({problem})"),
    "no_json": Text(
        "should be JSON; it is none from line {line}, column {column} on",
        "צריך להיות JSON; החל משורה {line}, עמודה {column} הוא אינו כזה",
    ),
    "no_json_object": Text("should be a JSON object", "צריך להיות אובייקט JSON"),
    "encoding_incomplete": Text(
        "should be complete {encoding} data, as Content-Encoding says",
        "צריך להיות נתוני {encoding} שלמים, כפי שצוין ב-Content-Encoding",
    ),
    "method_not_in_cors": Text(
        "asks for the method {method}, which is not allowed", "מבקש את השיטה {method}, שאינה מותרת"
    ),
    "headers_not_in_cors": Text("asks for headers that are not allowed: {names}", "מבקש כותרות שאינן מותרות: {names}"),
    "not_listed": Text("should be one of: {names}", "צריך להיות אחד מאלה: {names}"),
    "no_continent_name": Text("should be the name of a continent, not {found}", "צריך להיות שם של יבשת, לא {found}"),
    "unknown_continent": Text("unknown continent; one of: {names}", "יבשת לא מוכרת; אחת מאלה: {names}"),
    "no_number": Text("should be a number, not {found}", "צריך להיות מספר, לא {found}"),
    "not_whole": Text("should be a whole number", "צריך להיות מספר שלם"),
    "not_between": Text("should be a whole number from {low} to {high}", "צריך להיות מספר שלם מ-{low} עד {high}"),
    "negative_days": Text("should be a number of days, 0 or more", "צריך להיות מספר ימים, 0 או יותר"),
    "negative_amount": Text("should be an amount of money, 0 or more", "צריך להיות סכום כסף, 0 או יותר"),
    "too_many_decimals": Text("should have at most {most} decimals", "צריך להכיל לכל היותר {most} ספרות עשרוניות"),
    "no_date": Text("should be a date such as 2027-06-01, not {found}", "צריך להיות תאריך כגון 2027-06-01, לא {found}"),
    "no_time": Text("should be a time such as 2026-11-24T09:30:00Z", "צריך להיות מועד כגון 2026-11-24T09:30:00Z"),
    "before_start": Text("should not be before the start", "לא יכול להיות לפני תאריך ההתחלה"),
    "period_too_long": Text(
        "should be less than {most} days after the start", "צריך להיות פחות מ-{most} ימים אחרי תאריך ההתחלה"
    ),
    "or_all": Text('{problem}; or "all"', '{problem}; או "all"'),
    "no_list": Text("should be a list, not {found}", "צריך להיות רשימה, לא {found}"),
    "list_too_long": Text(
        "should have at most {most} entries, not {length}", "צריך להכיל לכל היותר {most} פריטים, לא {length}"
    ),
    "entry": Text("entry {position} ({found}): {problem}", "פריט {position} ({found}): {problem}"),
    "nul_in_text": Text("should be plain text, without NUL characters", "צריך להיות טקסט רגיל, ללא תווי NUL"),
    "email_too_long": Text("should have at most {most} characters", "צריך להכיל לכל היותר {most} תווים"),
    "no_email": Text(
        "should be an e-mail address such as dana@example.org", "צריך להיות כתובת דוא״ל כגון dana@example.org"
    ),
    "nested_too_deeply": Text("should not be nested so deeply", "לא יכול להיות מקונן כל כך עמוק"),
    "metadata_too_large": Text(
        "should have at most {most} bytes, not {size}", "צריך להכיל לכל היותר {most} בתים, לא {size}"
    ),
    "click_without_source": Text("is required for click_trip", "הוא שדה חובה עבור click_trip"),
}

KINDS = {**PYDANTIC_KINDS, **OWN_KINDS}

VALUES = {
    "boolean": Text("true or false", "true או false"),
    "list": Text("a list", "רשימה"),
    "object": Text("an object", "אובייקט"),
    "null": Text("null", "null"),
    "number": Text("a number", "מספר"),
    "not_finite": Text("NaN or infinity", "NaN או אינסוף"),
    "field": Text("{name} {problem}", "{name} {problem}"),
}
"""Parts of these texts: what was found instead, and a field with its problem."""
