-- What the webhooks say, as rows. Every column merges by a rule that does not depend on
-- the order, the number or the batching of events, so that any delivery gives the same
-- rows (worker/src/project/ holds the other half of each rule):
--
--   first       the earliest time; one that the event names beats one that we noted on arrival
--   ranked      the value of the best-informed dialect (…_rank); a tie goes to the greater bytes
--   latest      the value with the greatest clock; a tie goes to the greater bytes
--   greatest    the greater value (least: the lesser)
--
-- An id that a name stands for (contact_id) does not merge by itself: two events may name
-- one conversation's contact in two ways that nothing links yet, and which of the ids is
-- greater would depend on what was linked when. The name merges (contact_alias, the least);
-- the id is always the one that this name means now.
--
-- Nothing that is absent overwrites what is present. There are no foreign keys: a status
-- may come before its message, and a message before its conversation.
--
-- A clock is microseconds since 1970 by the event's own time. An event without a time
-- of its own is set back by 2^61, so that it loses to any that has one.
-- Texts compare by their bytes: COLLATE "C" everywhere.

CREATE FUNCTION first_of(a timestamptz, a_timed boolean, b timestamptz, b_timed boolean) RETURNS timestamptz
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN a_timed = b_timed THEN LEAST(a, b) WHEN b_timed THEN b ELSE a END
$$;

CREATE FUNCTION ranked_of(a_rank smallint, a text, b_rank smallint, b text) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN b_rank > a_rank OR (b_rank = a_rank AND b COLLATE "C" > a COLLATE "C") THEN b ELSE a END
$$;

CREATE FUNCTION latest_of(a_clock bigint, a text, b_clock bigint, b text) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE
        WHEN a_clock IS NULL THEN b
        WHEN b_clock > a_clock OR (b_clock = a_clock AND b COLLATE "C" > a COLLATE "C") THEN b
        ELSE a
    END
$$;

-- The people on the other side.
CREATE TABLE contacts (
    id                 text COLLATE "C" PRIMARY KEY,
    phone_number       text COLLATE "C",
    phone_number_clock bigint,
    bsuid              text COLLATE "C",
    bsuid_clock        bigint,
    kapso_id           text COLLATE "C",
    name               text COLLATE "C",
    name_clock         bigint,
    username           text COLLATE "C",
    username_clock     bigint,
    marketing          text COLLATE "C",
    marketing_clock    bigint,
    created_at         timestamptz
);

COMMENT ON COLUMN contacts.id IS 'The best of its names: the phone number, else the BSUID, else kapso:<id>.';
COMMENT ON COLUMN contacts.phone_number IS 'Digits only, with the country code. Latest.';
COMMENT ON COLUMN contacts.bsuid IS 'Meta''s business-scoped user id. Latest.';
COMMENT ON COLUMN contacts.kapso_id IS 'Greatest.';
COMMENT ON COLUMN contacts.name IS 'What they call themselves. Latest.';
COMMENT ON COLUMN contacts.marketing IS 'Whether they want advertising: stopped, resumed. Latest.';
COMMENT ON COLUMN contacts.created_at IS 'When the sender created it, where it says so. Least.';

-- Every name that a contact has been called by, with the contact it means now.
CREATE TABLE contact_aliases (
    alias text COLLATE "C" PRIMARY KEY,
    id    text COLLATE "C" NOT NULL
);
-- Two contacts that turn out to be one are merged by id.
CREATE INDEX contact_aliases_id ON contact_aliases (id);

CREATE TABLE conversations (
    id              text COLLATE "C" PRIMARY KEY,
    contact_alias   text COLLATE "C",
    contact_id      text COLLATE "C",
    phone_number_id text COLLATE "C",
    status          text COLLATE "C",
    status_clock    bigint,
    created_at      timestamptz,
    last_active_at  timestamptz,
    ended_at        timestamptz,
    inactive_at     timestamptz,
    metadata        json,
    metadata_clock  bigint
);

COMMENT ON COLUMN conversations.contact_alias IS 'The name that events give for the contact. Least: number before BSUID before kapso:<id>.';
COMMENT ON COLUMN conversations.contact_id IS 'The contact that contact_alias means now (contact_aliases).';
COMMENT ON COLUMN conversations.phone_number_id IS 'Our number, as Meta names it. Greatest.';
COMMENT ON COLUMN conversations.status IS 'active, ended, … Latest, by status_clock.';
COMMENT ON COLUMN conversations.created_at IS 'When the sender opened it. Least.';
COMMENT ON COLUMN conversations.ended_at IS 'When the sender ended it. Greatest.';
COMMENT ON COLUMN conversations.inactive_at IS 'When it had been silent for as long as the webhook asks. Greatest.';
COMMENT ON COLUMN conversations.metadata IS 'What the business noted about it at Kapso. Latest.';
COMMENT ON COLUMN conversations.last_active_at IS 'Greatest of the times of its messages and of what the sender says.';
CREATE INDEX conversations_contact_id ON conversations (contact_id);

CREATE TABLE messages (
    id              text COLLATE "C" PRIMARY KEY,
    conversation_id text COLLATE "C",
    contact_alias   text COLLATE "C",
    contact_id      text COLLATE "C",
    phone_number_id text COLLATE "C",
    direction       text COLLATE "C" CHECK (direction IN ('inbound', 'outbound')),
    origin          text COLLATE "C",
    type            text COLLATE "C",
    body            text COLLATE "C",
    media           json,
    context         json,
    content         json,
    occurred_at     timestamptz,
    status          text GENERATED ALWAYS AS (
                        CASE
                            WHEN read_at IS NOT NULL THEN 'read'
                            WHEN delivered_at IS NOT NULL THEN 'delivered'
                            WHEN failed_at IS NOT NULL THEN 'failed'
                            WHEN sent_at IS NOT NULL THEN 'sent'
                            WHEN direction = 'inbound' THEN 'received'
                        END
                    ) STORED,
    sent_at         timestamptz,
    delivered_at    timestamptz,
    read_at         timestamptz,
    failed_at       timestamptz,
    error           json,
    type_rank       smallint NOT NULL DEFAULT 0,
    body_rank       smallint NOT NULL DEFAULT 0,
    media_rank      smallint NOT NULL DEFAULT 0,
    context_rank    smallint NOT NULL DEFAULT 0,
    content_rank    smallint NOT NULL DEFAULT 0,
    occurred_rank   smallint NOT NULL DEFAULT 0,
    sent_timed      boolean  NOT NULL DEFAULT false,
    delivered_timed boolean  NOT NULL DEFAULT false,
    read_timed      boolean  NOT NULL DEFAULT false,
    failed_timed    boolean  NOT NULL DEFAULT false,
    error_clock     bigint
    -- A message is updated by each of its statuses: room on the page keeps that cheap.
) WITH (fillfactor = 85);

COMMENT ON COLUMN messages.id IS 'WhatsApp''s id (wamid) where known, else Kapso''s, else webhook:<id>:<item>.';
COMMENT ON COLUMN messages.conversation_id IS 'Kapso''s conversation. Greatest.';
COMMENT ON COLUMN messages.contact_alias IS 'The name that events give for the contact. Least: number before BSUID before kapso:<id>.';
COMMENT ON COLUMN messages.contact_id IS 'The person on the other side: whom contact_alias means now (contact_aliases).';
COMMENT ON COLUMN messages.phone_number_id IS 'Our number. Greatest.';
COMMENT ON COLUMN messages.direction IS 'Inbound as soon as one event says so.';
COMMENT ON COLUMN messages.origin IS 'cloud_api, business_app (the phone app), history_sync, … Greatest.';
COMMENT ON COLUMN messages.type IS 'text, image, audio, … Ranked.';
COMMENT ON COLUMN messages.body IS 'The text or the caption. Ranked.';
COMMENT ON COLUMN messages.media IS 'Where the media is and what it is. Ranked.';
COMMENT ON COLUMN messages.context IS 'The message that this one answers or forwards. Ranked.';
COMMENT ON COLUMN messages.content IS 'What else the message holds, by its type. Ranked.';
COMMENT ON COLUMN messages.occurred_at IS 'When it was written. Ranked; a time of its own beats one noted on arrival.';
COMMENT ON COLUMN messages.status IS 'read > delivered > failed > sent > received, from the times beside it.';
COMMENT ON COLUMN messages.error IS 'Why it failed. Latest, by error_clock.';

CREATE INDEX messages_conversation_id ON messages (conversation_id, occurred_at);
-- For a person's messages, and for two contacts that turn out to be one.
CREATE INDEX messages_contact_id ON messages (contact_id, occurred_at);

-- The names of messages that have another than WhatsApp's, with the message they mean now.
-- A wamid has a row only where it means another: a message of ours that went out under two.
CREATE TABLE message_aliases (
    alias text COLLATE "C" PRIMARY KEY,
    id    text COLLATE "C" NOT NULL
);
CREATE INDEX message_aliases_id ON message_aliases (id);

-- The history behind messages.status. Append-only.
CREATE TABLE message_statuses (
    message_id   text COLLATE "C" NOT NULL,
    status       text COLLATE "C" NOT NULL,
    occurred_at  timestamptz      NOT NULL,
    details      json,
    details_rank smallint         NOT NULL DEFAULT 0,
    PRIMARY KEY (message_id, status, occurred_at)
);

COMMENT ON COLUMN message_statuses.details IS 'Errors, pricing and the rest of what came with it. Ranked.';

-- Who reacted to which message with what. A reaction that was taken back keeps its row, with
-- no emoji: that is how a late copy of it is known to be old.
CREATE TABLE reactions (
    message_id  text COLLATE "C" NOT NULL,
    reactor     text COLLATE "C" NOT NULL,
    emoji       text COLLATE "C",
    clock       bigint           NOT NULL,
    PRIMARY KEY (message_id, reactor)
);

COMMENT ON COLUMN reactions.message_id IS 'The message that was reacted to.';
COMMENT ON COLUMN reactions.reactor IS 'The contact, or business.';
COMMENT ON COLUMN reactions.emoji IS 'Null: taken back. Latest, by clock.';
CREATE INDEX reactions_reactor ON reactions (reactor);

-- What is neither a person, a conversation nor a message: our numbers and accounts, runs of
-- workflows and agents, templates, events of the project's own. One row each, with its state.
CREATE TABLE subjects (
    kind            text COLLATE "C" NOT NULL,
    id              text COLLATE "C" NOT NULL,
    state           text COLLATE "C" NOT NULL,
    conversation_id text COLLATE "C",
    details         json             NOT NULL,
    clock           bigint           NOT NULL,
    PRIMARY KEY (kind, id)
);

COMMENT ON COLUMN subjects.state IS 'The last thing that happened to it: disconnected, handoff, completed, … Latest, by clock.';
COMMENT ON COLUMN subjects.details IS 'All that this event said. Latest, by clock and state.';

-- The history behind subjects.state. Append-only.
CREATE TABLE subject_events (
    kind        text COLLATE "C" NOT NULL,
    id          text COLLATE "C" NOT NULL,
    event       text COLLATE "C" NOT NULL,
    occurred_at timestamptz      NOT NULL,
    details     json             NOT NULL,
    PRIMARY KEY (kind, id, event, occurred_at)
);

CREATE VIEW phone_numbers AS
    SELECT id, state, COALESCE(details ->> 'display_phone_number', details #>> '{whatsapp_config,display_phone_number}')
               AS display_phone_number, details
    FROM subjects WHERE kind = 'phone_number';
CREATE VIEW accounts AS
    SELECT id, state, details FROM subjects WHERE kind = 'account';
CREATE VIEW workflow_executions AS
    SELECT id, state, conversation_id, details ->> 'workflow_id' AS workflow_id, details FROM subjects WHERE kind = 'workflow_execution';
CREATE VIEW agent_runs AS
    SELECT id, state, details #>> '{data,agent,name}' AS agent, details FROM subjects WHERE kind = 'agent_run';
CREATE VIEW project_events AS
    SELECT id, state AS name, conversation_id, details -> 'properties' AS properties FROM subjects WHERE kind = 'project_event';
CREATE VIEW templates AS
    SELECT id, state, details ->> 'message_template_name' AS name, details FROM subjects WHERE kind = 'template';
