-- What the gap detector found when it compared Kapso's listing with what we have: one row
-- for each check that came to its end or failed. From here it also knows where to go on.
CREATE TABLE gap_checks (
    id             bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    started_at     timestamptz NOT NULL,
    finished_at    timestamptz NOT NULL DEFAULT now(),
    since          timestamptz NOT NULL,
    until          timestamptz NOT NULL,
    requests       bigint      NOT NULL,
    listed         bigint      NOT NULL,
    missing        bigint      NOT NULL,
    behind         bigint      NOT NULL,
    stored         bigint      NOT NULL,
    skipped        bigint      NOT NULL,
    oldest_missing timestamptz,
    newest_missing timestamptz,
    error          text
);

COMMENT ON COLUMN gap_checks.since IS 'Messages written from then …';
COMMENT ON COLUMN gap_checks.until IS '… until then were compared.';
COMMENT ON COLUMN gap_checks.requests IS 'How many questions Kapso was asked.';
COMMENT ON COLUMN gap_checks.listed IS 'How many messages of that time Kapso listed.';
COMMENT ON COLUMN gap_checks.missing IS 'How many of them had never reached us.';
COMMENT ON COLUMN gap_checks.behind IS 'How many we had, which got further than we knew.';
COMMENT ON COLUMN gap_checks.stored IS 'How many of the missing were stored at once (BUZON_BACKFILL=on).';
COMMENT ON COLUMN gap_checks.skipped IS 'How many listed items were left alone: no id, no time, or not to be compared.';
COMMENT ON COLUMN gap_checks.error IS 'Why it did not come to its end; the next one begins where the last good one did.';

-- The last one is asked for.
CREATE INDEX gap_checks_started_at ON gap_checks (started_at);

COMMENT ON COLUMN webhooks.verified_by IS 'Which secret it was signed with: secret:0, secret:1, …, meta-app-secret, or nothing. kapso-api: it is no webhook, but what we asked Kapso''s API for (dialect backfill).';
