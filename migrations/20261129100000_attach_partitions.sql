-- A partition that is made as one takes a lock on the archive that nobody else may hold: a dump of the database on the
-- first of a month would keep all webhooks from being stored. Attached, it waits for no reader and no writer.
CREATE OR REPLACE FUNCTION ensure_webhooks_partition(instant timestamptz) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    first_day timestamp := date_trunc('month', instant AT TIME ZONE 'UTC');
    name text := 'webhooks_' || to_char(first_day, 'YYYY_MM');
BEGIN
    IF to_regclass(name) IS NOT NULL THEN
        RETURN;
    END IF;
    -- Two workers may need the same month at the same time. The catalogue, and not a second look:
    -- to_regclass may remember what it saw before the lock.
    PERFORM pg_advisory_xact_lock(hashtext('ensure_webhooks_partition'));
    IF EXISTS (SELECT FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
               WHERE inhparent = 'webhooks'::regclass AND relname = name) THEN
        RETURN;
    END IF;
    EXECUTE format('CREATE TABLE %I (LIKE webhooks INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', name);
    EXECUTE format('CREATE UNIQUE INDEX %I ON %I (id)', name || '_id', name);
    EXECUTE format('ALTER TABLE webhooks ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
        name, first_day AT TIME ZONE 'UTC', (first_day + interval '1 month') AT TIME ZONE 'UTC');
END
$$;
