-- What happens to a message after it was sent, and groups. An edit changes the text of its
-- message, a deletion keeps the row: neither is a message of its own. Their originals can come
-- after them.

ALTER TABLE messages
    ADD COLUMN group_id   text COLLATE "C",
    ADD COLUMN body_clock bigint,
    ADD COLUMN edited_at  timestamptz,
    ADD COLUMN deleted_at timestamptz;

COMMENT ON COLUMN messages.group_id IS 'The WhatsApp group that it was written in; null: a private chat. Never answered nor marked as read. Greatest.';
COMMENT ON COLUMN messages.body IS 'The text or the caption: that of the latest edit, else ranked.';
COMMENT ON COLUMN messages.body_clock IS 'The clock of the edit that gave it its text; null: nobody has edited it.';
COMMENT ON COLUMN messages.edited_at IS 'When it was last edited. Greatest.';
COMMENT ON COLUMN messages.deleted_at IS 'When it was deleted for everyone. The row and the archive keep what it said. Least.';

-- The text of the latest edit; without one, or by two edits of one time, the ranked one.
CREATE FUNCTION edited_of(a_clock bigint, a_rank smallint, a text, b_clock bigint, b_rank smallint, b text) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE
        WHEN a_clock IS NOT DISTINCT FROM b_clock THEN ranked_of(a_rank, a, b_rank, b)
        WHEN a_clock IS NULL OR b_clock > a_clock THEN b
        ELSE a
    END
$$;

-- What is written in a group takes over nobody's private conversation. Beyond that the function is as it was.
CREATE OR REPLACE FUNCTION takeovers(lane text, since timestamptz)
RETURNS TABLE (at timestamptz, by text, evidence text)
LANGUAGE sql STABLE AS $$
    WITH asked AS (
        SELECT lanes.id, lanes.phone_number_id, COALESCE(lanes.contact_id, of_lane.contact_id) AS contact_id,
               lanes.conversation_id
        FROM lanes LEFT JOIN conversations of_lane ON of_lane.id = lanes.conversation_id
        WHERE lanes.id = $1),
    talks AS (
        SELECT conversation_id FROM asked WHERE conversation_id IS NOT NULL
        UNION
        SELECT conversations.id FROM asked JOIN conversations USING (contact_id)
        WHERE asked.phone_number_id IS NULL OR conversations.phone_number_id IS NULL
           OR asked.phone_number_id = conversations.phone_number_id),
    written AS (
        SELECT messages.*, messages.occurred_at AS at FROM asked JOIN messages USING (contact_id)
        WHERE messages.occurred_at > $2
        UNION ALL
        -- Where nobody says when it was written, it was when it was sent. It can be read days later.
        SELECT messages.*, messages.sent_at FROM asked JOIN messages USING (contact_id)
        WHERE messages.occurred_at IS NULL AND messages.sent_at > $2
        UNION ALL
        -- What names no contact belongs to the one of its conversation.
        SELECT messages.*, COALESCE(messages.occurred_at, messages.sent_at)
        FROM talks JOIN messages USING (conversation_id)
        WHERE messages.contact_id IS NULL
          AND (messages.occurred_at > $2 OR messages.occurred_at IS NULL AND messages.sent_at > $2)),
    ours AS (
        SELECT written.* FROM written, asked
        WHERE written.direction = 'outbound' AND written.group_id IS NULL AND written.origin IS DISTINCT FROM 'history_sync'
          AND (asked.phone_number_id IS NULL OR written.phone_number_id IS NULL
               OR asked.phone_number_id = written.phone_number_id))
    SELECT found.* FROM (
        SELECT ours.at, 'business_app', ours.id FROM ours WHERE ours.origin = 'business_app'
        UNION ALL
        SELECT subject_events.occurred_at, 'handoff', subject_events.id
        FROM talks JOIN subjects USING (conversation_id) JOIN subject_events USING (kind, id)
        WHERE subject_events.kind IN ('workflow_execution', 'agent_execution')
          AND subject_events.event = 'handoff' AND subject_events.occurred_at > $2
        UNION ALL
        SELECT ours.at, 'unclaimed', ours.id FROM ours
        WHERE ours.origin IS DISTINCT FROM 'business_app' AND ours.at < now() - interval '1 minute'
          AND NOT EXISTS (SELECT FROM effects WHERE sent_message_id = ours.id)
          AND NOT EXISTS (
            SELECT FROM message_aliases JOIN effects ON sent_message_id = alias WHERE message_aliases.id = ours.id)
          AND NOT EXISTS (
            SELECT FROM effects WHERE effects.lane = $1 AND kind = 'send_text' AND state = 'pending' AND lease IS NOT NULL)
          AND NOT EXISTS (
            SELECT FROM effects reply JOIN effect_attempts attempt ON attempt.effect_id = reply.id
            WHERE reply.lane = $1 AND reply.kind = 'send_text' AND reply.state IN ('done', 'unknown')
              AND reply.settled_at > ours.at - interval '10 minutes'
              AND attempt.started_at BETWEEN ours.at - interval '10 minutes' AND ours.at + interval '1 minute'
              AND (reply.state = 'unknown' OR reply.settled_at > now() - interval '1 minute' OR reply.body = ours.body
                   OR ours.body IS NULL AND COALESCE(ours.type, 'text') = 'text'))
    ) found (at, by, evidence)
    WHERE found.at < now() + interval '5 minutes'
$$;


-- All lanes of the person whose lane this is: a lane is named by its conversation where our number is not known, and a
-- person has many conversations. A pause by hand and the loop guard are the person's.
CREATE FUNCTION lanes_of_person(lane text) RETURNS SETOF lanes
LANGUAGE sql STABLE AS $$
    SELECT lanes.* FROM lanes WHERE lanes.id = $1
    UNION ALL
    SELECT other.*
    FROM lanes asked LEFT JOIN conversations talk ON talk.id = asked.conversation_id
    JOIN lanes other ON other.contact_id = COALESCE(asked.contact_id, talk.contact_id)
    WHERE asked.id = $1 AND other.id <> asked.id
      AND COALESCE(asked.phone_number_id, talk.phone_number_id, other.phone_number_id) = other.phone_number_id
    UNION ALL
    SELECT other.*
    FROM lanes asked LEFT JOIN conversations talk ON talk.id = asked.conversation_id
    JOIN conversations elsewhere ON elsewhere.contact_id = COALESCE(asked.contact_id, talk.contact_id)
    JOIN lanes other ON other.id = 'conversation/' || elsewhere.id
    WHERE asked.id = $1 AND other.id <> asked.id
      AND COALESCE(asked.phone_number_id, talk.phone_number_id, elsewhere.phone_number_id, '')
        = COALESCE(elsewhere.phone_number_id, asked.phone_number_id, talk.phone_number_id, '')
$$;

COMMENT ON FUNCTION lanes_of_person IS 'The lanes of one person at one of our numbers, this one included.';
