-- When a person takes over a conversation, automatic replies pause. Nothing is noted when it
-- happens: the takeovers of a lane are found in what webhooks and listings told, whenever they
-- are asked for. So they are the same whatever came first, came twice or came together, and stay
-- with a person who turns out to be two contacts.

ALTER TABLE lanes ADD COLUMN resumed_at timestamptz;

COMMENT ON COLUMN lanes.paused_until IS 'By hand: no automatic reply leaves before then. Takeovers: see takeovers().';
COMMENT ON COLUMN lanes.pause_reason IS 'Who paused or resumed the lane by hand, when and why.';
COMMENT ON COLUMN lanes.resumed_at IS 'By hand: what happened before then pauses the lane no more.';

ALTER TABLE effects ADD COLUMN retried_at timestamptz;

COMMENT ON COLUMN effects.retried_at IS 'When a person last decided that it be tried again.';

-- The conversations of workflows that were handed off.
CREATE INDEX subjects_conversation_id ON subjects (conversation_id) WHERE conversation_id IS NOT NULL;

-- Every takeover of a lane after `since`:
--
--   business_app  somebody wrote in the phone's app; evidence: the message
--   handoff       a workflow or an agent handed over to a person; evidence: its run
--   unclaimed     an outbound message that is no reply of ours; evidence: the message
--
-- What is said to happen more than five minutes from now has a time that can't be trusted.
--
-- A message can be a reply of ours although nothing says so yet: an answer is on its way back, or
-- nobody saw it. So a message is unclaimed only after a minute in which none of the replies
-- that it could be, by their attempts, was in flight or unknown. And two names of one message are
-- not always linked (Kapso's and WhatsApp's): what says the same as a reply of about that time, or
-- says nothing, is taken for it.
CREATE FUNCTION takeovers(lane text, since timestamptz)
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
        WHERE written.direction = 'outbound' AND written.origin IS DISTINCT FROM 'history_sync'
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

COMMENT ON FUNCTION takeovers IS 'When and how a person has taken over the conversation of a lane since some time.';
