-- The archive: every authenticated webhook, byte for byte, as ingest received it.
-- The worker appends to it; nothing changes a body. Whatever else is in this database
-- can be projected again from here.
CREATE TABLE webhooks (
    id              bytea       NOT NULL CHECK (octet_length(id) = 32),
    received_at     timestamptz NOT NULL,
    kind            text        NOT NULL,
    dialect         text,
    headers         jsonb       NOT NULL,
    verified_by     text        NOT NULL,
    body            bytea       NOT NULL,
    projected_at    timestamptz,
    dead_at         timestamptz,
    attempts        integer     NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    next_attempt_at timestamptz NOT NULL DEFAULT '-infinity'
) PARTITION BY RANGE (received_at);

COMMENT ON TABLE webhooks IS 'Every authenticated webhook, byte for byte. Append-only.';
COMMENT ON COLUMN webhooks.id IS 'SHA-256 over the kind and the body. Unique within its month.';
COMMENT ON COLUMN webhooks.received_at IS 'When ingest had its last byte.';
COMMENT ON COLUMN webhooks.kind IS 'The event''s kind, as sent.';
COMMENT ON COLUMN webhooks.dialect IS 'What its body turned out to be; null until it is decoded.';
COMMENT ON COLUMN webhooks.headers IS 'The request headers on the allow-list. Not signed: hints.';
COMMENT ON COLUMN webhooks.verified_by IS 'Which secret it was signed with: secret:0, secret:1, …, meta-app-secret, or nothing.';
COMMENT ON COLUMN webhooks.projected_at IS 'When its events were projected. Null with dead_at null: it is pending.';
COMMENT ON COLUMN webhooks.dead_at IS 'When the whole of it became a dead letter.';
COMMENT ON COLUMN webhooks.attempts IS 'How often the slow lane began to project it.';
COMMENT ON COLUMN webhooks.next_attempt_at IS 'The slow lane leaves it alone until then.';

-- What the slow lane looks for.
CREATE INDEX webhooks_pending ON webhooks (next_attempt_at)
    WHERE projected_at IS NULL AND dead_at IS NULL;

-- Makes the partition of a month, so that the worker can do it without knowing how.
-- A retry of the sender across a month's end is archived in both: uniqueness spans a
-- partition, and projecting twice gives the same rows.
CREATE FUNCTION ensure_webhooks_partition(instant timestamptz) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    first_day timestamp := date_trunc('month', instant AT TIME ZONE 'UTC');
    name text := 'webhooks_' || to_char(first_day, 'YYYY_MM');
BEGIN
    IF to_regclass(name) IS NOT NULL THEN
        RETURN;
    END IF;
    -- Two workers may need the same month at the same time. IF NOT EXISTS, and not a second
    -- look: to_regclass may remember what it saw before the lock.
    PERFORM pg_advisory_xact_lock(hashtext('ensure_webhooks_partition'));
    EXECUTE format('CREATE TABLE IF NOT EXISTS %I PARTITION OF webhooks FOR VALUES FROM (%L) TO (%L)',
        name, first_day AT TIME ZONE 'UTC', (first_day + interval '1 month') AT TIME ZONE 'UTC');
    EXECUTE format('CREATE UNIQUE INDEX IF NOT EXISTS %I ON %I (id)', name || '_id', name);
END
$$;

-- What could not be projected, with the reason. The bytes stay in the archive.
CREATE TABLE dead_letters (
    id          bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    webhook_id  bytea       NOT NULL,
    item        text,
    reason      text        NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    resolved_at timestamptz,
    -- A redelivery fails for the same reason, and is the same dead letter.
    CONSTRAINT one_dead_letter_per_item UNIQUE NULLS NOT DISTINCT (webhook_id, item)
);

COMMENT ON COLUMN dead_letters.webhook_id IS 'The webhook in the archive.';
COMMENT ON COLUMN dead_letters.item IS 'The place in its body, such as data[3]; null for the whole of it.';
COMMENT ON COLUMN dead_letters.resolved_at IS 'When a requeue projected it, or somebody dropped it.';
