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

-- Two more reasons for which nothing is owed: the message was written in a group, or is of a type that nobody wrote.
-- Not validated: what is there satisfied the older, narrower list.
ALTER TABLE effects DROP CONSTRAINT effects_refused_check;
ALTER TABLE effects ADD CONSTRAINT effects_refused_check
    CHECK (refused IN ('off', 'origin', 'too_old', 'not_addressable', 'type', 'group')) NOT VALID;
