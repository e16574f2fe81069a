-- column
ALTER TABLE events ADD COLUMN IF NOT EXISTS event_uuid uuid;

-- categories
INSERT INTO event_categories (id, name, name_he, description, created_at)
SELECT (SELECT coalesce(max(id), 0) FROM event_categories) + row_number() OVER (ORDER BY place),
    name, name_he, 'made by smarttrip', CURRENT_TIMESTAMP AT TIME ZONE 'UTC'
FROM (VALUES
    (1, 'navigation', 'ניווט'),
    (2, 'search', 'חיפוש'),
    (3, 'engagement', 'מעורבות'),
    (4, 'conversion', 'המרה')
) AS ours (place, name, name_he)
WHERE name NOT IN (SELECT name FROM event_categories);

-- types
INSERT INTO event_types (id, name, name_he, category_id, description, created_at)
SELECT (SELECT coalesce(max(id), 0) FROM event_types) + row_number() OVER (ORDER BY place),
    ours.name, ours.name_he, event_categories.id, 'made by smarttrip', CURRENT_TIMESTAMP AT TIME ZONE 'UTC'
FROM (VALUES
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
) AS ours (place, name, name_he, category)
JOIN event_categories ON event_categories.name = ours.category
WHERE ours.name NOT IN (SELECT name FROM event_types);

-- forget
DELETE FROM event_types
WHERE description = 'made by smarttrip' AND id NOT IN (SELECT event_type_id FROM events);
DELETE FROM event_categories
WHERE description = 'made by smarttrip' AND id NOT IN (SELECT category_id FROM event_types);
ALTER TABLE events DROP COLUMN IF EXISTS event_uuid;
