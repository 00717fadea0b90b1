-- Replies of which it is not known what became of them, for as long as somebody looks for
-- evidence: what has been asked of Kapso, and what is to be asked next. A work list: what is
-- settled has no row, and its outcome stands in effects.
CREATE TABLE effect_doubts (
    effect_id       bigint      PRIMARY KEY,
    since           timestamptz NOT NULL,
    attempt         integer     NOT NULL,
    deadline        timestamptz NOT NULL,
    absent_at       timestamptz,
    absent_again_at timestamptz,
    next_listing_at timestamptz NOT NULL,
    failures        integer     NOT NULL DEFAULT 0 CHECK (failures >= 0),
    asked_by        text COLLATE "C",
    asked_until     timestamptz,
    given_up_at     timestamptz,
    CONSTRAINT absent_in_order CHECK (absent_again_at IS NULL OR absent_at IS NOT NULL),
    CONSTRAINT asked_for_a_time CHECK ((asked_by IS NULL) = (asked_until IS NULL))
);

COMMENT ON COLUMN effect_doubts.since IS 'When the first attempt began whose end nobody saw: what was written before is no evidence.';
COMMENT ON COLUMN effect_doubts.attempt IS 'The last such attempt.';
COMMENT ON COLUMN effect_doubts.deadline IS 'No request of ours was under way after that.';
COMMENT ON COLUMN effect_doubts.absent_at IS 'When the first whole listing was asked for that lacks the reply.';
COMMENT ON COLUMN effect_doubts.absent_again_at IS 'When the last one was.';
COMMENT ON COLUMN effect_doubts.next_listing_at IS 'No listing is asked for before then.';
COMMENT ON COLUMN effect_doubts.failures IS 'Listings in a row that failed or were cut short, and so prove nothing.';
COMMENT ON COLUMN effect_doubts.asked_by IS 'The worker that is asking.';
COMMENT ON COLUMN effect_doubts.given_up_at IS 'When it was left unknown. What comes by webhook still settles it.';

-- One row for each page of a listing that was asked for to settle them, committed before the
-- question left: they count against the limit of the key.
CREATE TABLE effect_listings (
    id          bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    asked_at    timestamptz NOT NULL DEFAULT now(),
    asked_of    text        NOT NULL,
    finished_at timestamptz,
    http_status integer,
    outcome     text,
    CONSTRAINT finished_with_an_outcome CHECK ((finished_at IS NULL) = (outcome IS NULL))
);

COMMENT ON COLUMN effect_listings.asked_of IS 'Our number, or the conversation, whose messages were listed.';

-- The calls of the last minute.
CREATE INDEX effect_listings_asked_at ON effect_listings (asked_at);

-- Replies that may need a row above.
CREATE INDEX effects_doubtful ON effects (settled_at)
    WHERE kind = 'send_text' AND sent_message_id IS NULL AND state IN ('unknown', 'done');
-- Which effect a message is claimed by.
CREATE INDEX effects_sent_message_id ON effects (sent_message_id) WHERE sent_message_id IS NOT NULL;
