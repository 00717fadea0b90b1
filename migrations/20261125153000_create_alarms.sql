-- What somebody has to see to, as all workers together know it: one row for each alarm that
-- was ever raised. The row says what was told to BUZON_ALERT_URL, so that of several workers
-- one tells it.
CREATE TABLE alarms (
    alarm        text COLLATE "C" PRIMARY KEY,
    raised_at    timestamptz,
    resolved_at  timestamptz,
    text         text        NOT NULL DEFAULT '',
    logged_at    timestamptz,
    next_tell_at timestamptz,
    told         boolean     NOT NULL DEFAULT false,
    failures     integer     NOT NULL DEFAULT 0 CHECK (failures >= 0),
    CONSTRAINT resolved_after_raised CHECK (resolved_at IS NULL OR resolved_at >= raised_at)
);

COMMENT ON COLUMN alarms.alarm IS 'Its name, as in docs/OPERATIONS.md.';
COMMENT ON COLUMN alarms.raised_at IS 'Since when, this time or the last.';
COMMENT ON COLUMN alarms.resolved_at IS 'When that was over; null: it is raised now.';
COMMENT ON COLUMN alarms.text IS 'What is wrong and what to do, as it was seen last.';
COMMENT ON COLUMN alarms.logged_at IS 'When a worker last wrote it to its log.';
COMMENT ON COLUMN alarms.next_tell_at IS 'When BUZON_ALERT_URL is told next; null: there is nothing to tell.';
COMMENT ON COLUMN alarms.told IS 'Whether it was tried to tell it of this raising.';
COMMENT ON COLUMN alarms.failures IS 'How often in a row that failed.';

-- Of several workers one looks: whoever claims it.
CREATE TABLE alarm_looks (
    look       text COLLATE "C" PRIMARY KEY,
    claimed_at timestamptz NOT NULL,
    seen       jsonb       NOT NULL DEFAULT '[]'
);

COMMENT ON COLUMN alarm_looks.look IS 'What is looked at: ours (queue and database), webhook (at Kapso).';
COMMENT ON COLUMN alarm_looks.claimed_at IS 'When it was looked at last.';
COMMENT ON COLUMN alarm_looks.seen IS 'How long the queue was at the last looks, the oldest first.';
