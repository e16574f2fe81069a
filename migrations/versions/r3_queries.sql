-- column
ALTER TABLE events ADD COLUMN IF NOT EXISTS event_uuid uuid;

-- free_id
-- The table's own default makes the id where there is one, so that the platform's next row does not collide with ours.
CREATE OR REPLACE FUNCTION pg_temp.free_id(target text) RETURNS bigint LANGUAGE plpgsql AS $function$
DECLARE
    id bigint;
    taken boolean;
    generator text := (
        SELECT CASE
            WHEN attidentity <> '' THEN format('nextval(%L)', pg_get_serial_sequence(target, 'id'))
            ELSE pg_get_expr(adbin, adrelid)
        END
        FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
        WHERE attrelid = target::regclass AND attname = 'id'
    );
BEGIN
    LOOP
        EXECUTE 'SELECT ' || coalesce(generator, format('coalesce(max(id), 0) + 1 FROM %s', target)) INTO id;
        EXECUTE format('SELECT EXISTS (SELECT FROM %s WHERE id = $1)', target) USING id INTO taken;
        IF NOT taken THEN
            RETURN id;
        END IF;
    END LOOP;
END
$function$;

-- categories
DECLARE
    ours record;
BEGIN
FOR ours IN SELECT * FROM (VALUES
    (1, 'navigation', 'ניווט'),
    (2, 'search', 'חיפוש'),
    (3, 'engagement', 'מעורבות'),
    (4, 'conversion', 'המרה')
) AS listed (place, name, name_he)
WHERE name NOT IN (SELECT name FROM event_categories) ORDER BY place
LOOP
    INSERT INTO event_categories (id, name, name_he, description, created_at) OVERRIDING SYSTEM VALUE VALUES (
        pg_temp.free_id('event_categories'), ours.name, ours.name_he, 'made by smarttrip',
        CURRENT_TIMESTAMP AT TIME ZONE 'UTC'
    );
END LOOP;
END;

-- types
DECLARE
    ours record;
BEGIN
FOR ours IN SELECT listed.*, event_categories.id AS category_id FROM (VALUES
    (1, 'page_view', 'צפייה בדף', 'navigation'),
    (2, 'search_submit', 'שליחת חיפוש', 'search'),
    (3, 'results_view', 'צפייה בתוצאות', 'search'),
    (4, 'filter_change', 'שינוי סינון', 'search'),
    (5, 'filter_removed', 'הסרת סינון', 'search'),
    (6, 'sort_change', 'שינוי מיון', 'search'),
    (7, 'impression', 'חשיפה', 'engagement'),
    (8, 'click_trip', 'לחיצה על טיול', 'engagement'),
    (9, 'trip_view', 'צפייה בטיול', 'engagement'),
    (10, 'trip_dwell_time', 'זמן שהייה בטיול', 'engagement'),
    (11, 'scroll_depth', 'עומק גלילה', 'engagement'),
    (12, 'save_trip', 'שמירת טיול', 'conversion'),
    (13, 'unsave_trip', 'ביטול שמירה', 'conversion'),
    (14, 'contact_whatsapp', 'פנייה בוואטסאפ', 'conversion'),
    (15, 'contact_phone', 'פנייה בטלפון', 'conversion'),
    (16, 'booking_start', 'תחילת הזמנה', 'conversion'),
    (17, 'share_trip', 'שיתוף טיול', 'conversion')
) AS listed (place, name, name_he, category)
JOIN event_categories ON event_categories.name = listed.category
WHERE listed.name NOT IN (SELECT name FROM event_types) ORDER BY place
LOOP
    INSERT INTO event_types (id, name, name_he, category_id, description, created_at) OVERRIDING SYSTEM VALUE VALUES (
        pg_temp.free_id('event_types'), ours.name, ours.name_he, ours.category_id, 'made by smarttrip',
        CURRENT_TIMESTAMP AT TIME ZONE 'UTC'
    );
END LOOP;
END;

-- sequences
-- Releases before this one took ids past the tables' own generators.
PERFORM setval(pg_get_serial_sequence(name, 'id'), greatest((SELECT max(id) FROM event_types), 1))
FROM (VALUES ('event_types')) AS listed (name) WHERE pg_get_serial_sequence(name, 'id') IS NOT NULL;
PERFORM setval(pg_get_serial_sequence(name, 'id'), greatest((SELECT max(id) FROM event_categories), 1))
FROM (VALUES ('event_categories')) AS listed (name) WHERE pg_get_serial_sequence(name, 'id') IS NOT NULL;

-- forget
DELETE FROM event_types
WHERE description = 'made by smarttrip' AND id NOT IN (SELECT event_type_id FROM events);
DELETE FROM event_categories
WHERE description = 'made by smarttrip' AND id NOT IN (SELECT category_id FROM event_types);
ALTER TABLE events DROP COLUMN IF EXISTS event_uuid;
