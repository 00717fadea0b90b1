-- The outbox: what Buzón owes the outside world, and what became of it. The projection
-- owes, in the transaction that stores the message; the dispatcher performs.

-- A lane is what replies to one person go through, in order and one at a time: our number
-- and the contact, else the conversation. Its row is what a dispatcher locks to choose from it.
CREATE TABLE lanes (
    id              text COLLATE "C" PRIMARY KEY,
    phone_number_id text COLLATE "C",
    contact_id      text COLLATE "C",
    conversation_id text COLLATE "C",
    paused_until    timestamptz,
    pause_reason    text
);

COMMENT ON COLUMN lanes.paused_until IS 'No automatic reply leaves before then: a person has taken over.';
-- For two contacts that turn out to be one.
CREATE INDEX lanes_contact_id ON lanes (contact_id);

CREATE TABLE effects (
    id              bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    state           text        NOT NULL DEFAULT 'pending'
                                CHECK (state IN ('pending', 'done', 'discarded', 'unknown')),
    kind            text        NOT NULL CHECK (kind IN ('send_text', 'mark_read')),
    message_id      text COLLATE "C" NOT NULL,
    kapso_message_id text COLLATE "C",
    conversation_id text COLLATE "C",
    phone_number_id text COLLATE "C",
    recipient       text COLLATE "C",
    lane            text COLLATE "C" NOT NULL,
    body            text,
    rule            text,
    attempts        integer     NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    next_at         timestamptz NOT NULL DEFAULT now(),
    expires_at      timestamptz NOT NULL,
    lease           timestamptz,
    outcome         text,
    sent_message_id text COLLATE "C",
    created_at      timestamptz NOT NULL DEFAULT now(),
    settled_at      timestamptz,
    -- Redelivery, replay and a second worker owe nothing twice.
    CONSTRAINT owed_once UNIQUE (message_id, kind),
    CONSTRAINT settled_iff_not_pending CHECK ((settled_at IS NULL) = (state = 'pending')),
    CONSTRAINT leased_only_while_pending CHECK (lease IS NULL OR state = 'pending'),
    CONSTRAINT a_reason_to_discard CHECK (state <> 'discarded' OR outcome IS NOT NULL)
);

COMMENT ON COLUMN effects.state IS 'pending; done; discarded (outcome says why); unknown: it left, and nobody knows whether it arrived.';
COMMENT ON COLUMN effects.message_id IS 'The inbound message that caused it.';
COMMENT ON COLUMN effects.kapso_message_id IS 'The name by which Kapso''s own API knows that message.';
COMMENT ON COLUMN effects.recipient IS 'Whom it goes to: the phone number, else the BSUID.';
COMMENT ON COLUMN effects.body IS 'The text of a send_text.';
COMMENT ON COLUMN effects.rule IS 'The rule that owed a send_text.';
COMMENT ON COLUMN effects.attempts IS 'How many requests have been allowed to leave.';
COMMENT ON COLUMN effects.next_at IS 'No attempt before then.';
COMMENT ON COLUMN effects.expires_at IS 'Late is not helpful: no attempt after then.';
COMMENT ON COLUMN effects.lease IS 'A dispatcher is performing it, until then at the latest.';
COMMENT ON COLUMN effects.outcome IS 'How the last attempt ended, or why there was none.';
COMMENT ON COLUMN effects.sent_message_id IS 'The message that a send_text became.';

-- What the dispatcher looks for, and what a lane waits for.
CREATE INDEX effects_pending ON effects (next_at) WHERE state = 'pending';
CREATE INDEX effects_open_by_lane ON effects (lane) WHERE state IN ('pending', 'unknown');

-- What the loop guard counts.
CREATE INDEX effects_sent_by_lane ON effects (lane, settled_at)
    WHERE kind = 'send_text' AND state IN ('done', 'unknown');

-- One row for each request that was allowed to leave, committed before it left.
-- A row without an outcome is a request that nobody saw the end of. Rows are never deleted.
CREATE TABLE effect_attempts (
    effect_id   bigint      NOT NULL,
    attempt     integer     NOT NULL,
    started_at  timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz,
    http_status integer,
    outcome     text,
    PRIMARY KEY (effect_id, attempt),
    CONSTRAINT finished_with_an_outcome CHECK ((finished_at IS NULL) = (outcome IS NULL))
);
