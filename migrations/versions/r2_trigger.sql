-- function
-- The writer's role needs no rights on our schema: this runs with its owner's, hence the fixed search path.
CREATE OR REPLACE FUNCTION smarttrip.{table}_{event}() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
    INSERT INTO smarttrip.outbox (kind, row_id) SELECT {distinct} '{kind}', {row_id} FROM {changed};
    IF FOUND THEN
        NOTIFY smarttrip_outbox;
    END IF;
    RETURN NULL;
END
$function$;

-- trigger
CREATE OR REPLACE TRIGGER smarttrip_{event} AFTER {event} ON {table} {referencing}
    FOR EACH STATEMENT EXECUTE FUNCTION smarttrip.{table}_{event}();
