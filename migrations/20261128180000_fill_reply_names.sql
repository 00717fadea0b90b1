-- Replies that were sent before effects.sent_names was there have none, and a rebuild would make two messages of
-- one that went out under two names. What its message is called by now is what the answer said, and perhaps more.
UPDATE effects SET sent_names = ARRAY(
    SELECT sent_message_id UNION SELECT now.id UNION SELECT alias FROM message_aliases WHERE id = now.id)
FROM (
    SELECT effects.id AS effect, COALESCE(message_aliases.id, sent_message_id) AS id
    FROM effects LEFT JOIN message_aliases ON alias = sent_message_id
    WHERE kind = 'send_text' AND sent_names IS NULL AND sent_message_id IS NOT NULL
) now
WHERE effects.id = now.effect;
