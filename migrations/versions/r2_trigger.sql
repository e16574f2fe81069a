-- function
-- The writer's role needs no rights on our schema: this runs with its owner's, hence the fixed search path.
CREATE OR REPLACE FUNCTION smarttrip.{table}_{event}() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
{body}
    RETURN NULL;
END
$function$;

-- trigger
CREATE OR REPLACE TRIGGER smarttrip_{event} AFTER {event} ON {table} {scope}
    EXECUTE FUNCTION smarttrip.{table}_{event}();

-- written
-- The ids are read apart from the write: a subtransaction that writes takes a transaction id for every statement.
DECLARE
    ids bigint[];
BEGIN
    BEGIN
        SELECT coalesce(array_agg({distinct} {row_id}), '{{}}') INTO ids FROM written;
    EXCEPTION WHEN OTHERS THEN
        -- The key is missing, or no whole number: the platform may have renamed it or changed its type.
        ids := ARRAY[NULL];
    END;
    INSERT INTO smarttrip.outbox (kind, row_id)
    SELECT CASE WHEN id IS NULL THEN '{everything}' ELSE '{kind}' END, id FROM unnest(ids) AS id;
END;

-- changed
-- Images of rows can be compared whatever the columns' types: json, xml and points have no equality.
DECLARE
    new_id bigint;
    old_id bigint;
    differs boolean;
BEGIN
    BEGIN
        new_id := NEW.{row_id};
        old_id := OLD.{row_id};
        differs := record_image_ne(ROW({old}), ROW({new}));
    EXCEPTION WHEN OTHERS THEN
        -- A column is missing: the platform has dropped or renamed it. Its writers must not fail for that.
        differs := true;
    END;
    IF differs THEN
        INSERT INTO smarttrip.outbox (kind, row_id)
        VALUES (CASE WHEN new_id IS NULL THEN '{everything}' ELSE '{kind}' END, new_id);
        IF old_id <> new_id THEN
            INSERT INTO smarttrip.outbox (kind, row_id) VALUES ('{kind}', old_id);
        END IF;
    END IF;
END;

-- emptied
INSERT INTO smarttrip.outbox (kind) VALUES ('all');
