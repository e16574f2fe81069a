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
INSERT INTO smarttrip.outbox (kind, row_id) SELECT {distinct} '{kind}', {row_id} FROM written;

-- changed
DECLARE
    differs boolean;
BEGIN
    BEGIN
        differs := {differs};
    EXCEPTION WHEN undefined_column THEN
        -- The platform has dropped or renamed one: that must not be its writers' trouble.
        differs := true;
    END;
    IF differs THEN
        INSERT INTO smarttrip.outbox (kind, row_id) VALUES ('{kind}', NEW.{row_id});
        IF OLD.{row_id} <> NEW.{row_id} THEN
            INSERT INTO smarttrip.outbox (kind, row_id) VALUES ('{kind}', OLD.{row_id});
        END IF;
    END IF;
END;

-- emptied
INSERT INTO smarttrip.outbox (kind) VALUES ('all');
