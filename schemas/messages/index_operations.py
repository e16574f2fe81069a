"""Texts of operations on the index that are rejected: for an administrator, in responses and on the command line."""

from schemas.messages.text import Text

INDEX_OPERATIONS = {
    "reindex_requested": Text(
        "A reindex has been asked for already; it is about to begin.",
        "כבר התבקשה בנייה מחדש של האינדקס; היא עומדת להתחיל.",
    ),
    "reindex_running": Text(
        "A reindex or a rollback is already running; one at a time.",
        "בנייה מחדש או חזרה לאינדקס הקודם כבר רצה; אפשר רק אחת בכל פעם.",
    ),
    "direct_url_mismatch": Text(
        "DATABASE_DIRECT_URL leads to another database than DATABASE_URL: a lock taken through the one is not seen "
        "through the other. Correct DATABASE_DIRECT_URL: nothing is started, migrated or rebuilt until then.",
        "DATABASE_DIRECT_URL מוביל למסד נתונים אחר מ-DATABASE_URL: נעילה דרך האחד אינה נראית דרך השני. "
        "יש לתקן את DATABASE_DIRECT_URL: עד אז דבר לא יופעל, יומר או ייבנה מחדש.",
    ),
    "batches_blocked": Text(
        "It blocked the synchronization for {seconds:.0f} s, so it was aborted; try again.",
        "הפעולה חסמה את הסנכרון למשך {seconds:.0f} שניות ולכן הופסקה; אפשר לנסות שוב.",
    ),
    "reindex_mismatch": Text(
        "The new index differs from Postgres and was not put in use: {differences}.",
        "האינדקס החדש שונה מ-Postgres ולא הופעל: {differences}.",
    ),
    "no_previous_index": Text(
        "There is no previous index that is still kept up to date; run a reindex instead.",
        "אין אינדקס קודם שעדיין מתעדכן; יש לבנות את האינדקס מחדש.",
    ),
    "index_of_other_release": Text(
        "The previous index, {name}, has documents of version {version}, which this release cannot read; "
        "deploy the release that made it, which uses it at once.",
        "במסמכי האינדקס הקודם, {name}, גרסה {version}, שמהדורה זו אינה יכולה לקרוא; "
        "יש להתקין את המהדורה שיצרה אותו, והיא תשתמש בו מיד.",
    ),
    "alias_is_index": Text(
        '"{alias}" is an index, not an alias; remove it or choose another ELASTICSEARCH_ALIAS.',
        '"{alias}" הוא אינדקס ולא כינוי; יש להסיר אותו או לבחור ELASTICSEARCH_ALIAS אחר.',
    ),
    "alias_ambiguous": Text(
        '"{alias}" should be an alias of one index, not of {names}; remove it from all but one.',
        '"{alias}" צריך להיות כינוי של אינדקס אחד, ולא של {names}; יש להסיר אותו מכולם מלבד אחד.',
    ),
    "index_owned": Text(
        'The indexes of "{alias}" in Elasticsearch belong to another installation; set ELASTICSEARCH_ALIAS to a name '
        "of this one, such as {suggested}. If the other one no longer exists: smarttrip adopt.",
        'האינדקסים של "{alias}" ב-Elasticsearch שייכים להתקנה אחרת; יש לקבוע ב-ELASTICSEARCH_ALIAS שם של התקנה זו, '
        "למשל {suggested}. אם האחרת כבר אינה קיימת: smarttrip adopt.",
    ),
    "redis_owned": Text(
        "The keys in Redis belong to another installation; set REDIS_PREFIX to one of this installation, such as "
        "{suggested}, or another database in REDIS_URL. If the other one no longer exists: smarttrip adopt.",
        "המפתחות ב-Redis שייכים להתקנה אחרת; יש לקבוע ב-REDIS_PREFIX תחילית של התקנה זו, למשל {suggested}, או מסד "
        "נתונים אחר ב-REDIS_URL. אם האחרת כבר אינה קיימת: smarttrip adopt.",
    ),
    "redis_cluster": Text(
        "REDIS_URL leads to a Redis Cluster, which spreads keys over servers, but caches, rate limits and events need "
        "several keys in one step; use one Redis or Valkey, with Sentinels (redis+sentinel://) beside it.",
        "REDIS_URL מוביל אל Redis Cluster, שמפזר מפתחות בין שרתים, אבל מטמונים, מגבלות קצב ואירועים דורשים כמה מפתחות "
        "בצעד אחד; יש להשתמש בשרת Redis או Valkey יחיד, עם Sentinel (redis+sentinel://) כשנדרשת יתירות.",
    ),
    "no_live_index": Text(
        "There is no index yet; changes wait until one has been built.", "עדיין אין אינדקס; השינויים ממתינים לבנייתו."
    ),
    "incompatible_documents": Text(
        "{name} has documents of another version of this program; changes wait for an index of this one.",
        "ב-{name} מסמכים של גרסה אחרת של התוכנה; השינויים ממתינים לאינדקס של גרסה זו.",
    ),
    "foreign_index": Text(
        "{name} can't be trusted, {problem}; changes wait for a reindex.",
        "אי אפשר לסמוך על {name}: {problem}; השינויים ממתינים לבנייה מחדש.",
    ),
    "index_not_conforming": Text(
        "The new index {name} cannot be used, {deviations}. Exclude its name from the index templates of Elasticsearch "
        "that set this, or choose another ELASTICSEARCH_ALIAS.",
        "אי אפשר להשתמש באינדקס החדש {name}: {deviations}. יש להוציא את שמו מתבניות האינדקס של Elasticsearch שקובעות "
        "זאת, או לבחור ELASTICSEARCH_ALIAS אחר.",
    ),
    "index_not_created": Text(
        "Elasticsearch does not create the index {name}: {reason}. If an index template matches the name, exclude it "
        "there, or choose another ELASTICSEARCH_ALIAS.",
        "Elasticsearch אינו יוצר את האינדקס {name}: {reason}. אם תבנית אינדקס תואמת לשם, יש להוציא אותו ממנה, "
        "או לבחור ELASTICSEARCH_ALIAS אחר.",
    ),
    "documents_rejected": Text(
        "The new index {name} rejected {rejected:,} documents and was not put in use; the first: {reason}.",
        "האינדקס החדש {name} דחה {rejected:,} מסמכים ולא הופעל; הראשון: {reason}.",
    ),
    "index_unavailable": Text(
        "Elasticsearch takes no documents: {reason}.", "Elasticsearch אינו מקבל מסמכים: {reason}."
    ),
}
