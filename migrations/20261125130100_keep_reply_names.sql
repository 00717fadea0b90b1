-- The projections can be emptied and rebuilt; that two names mean one reply is something that
-- perhaps nobody but the answer to its request has said.
ALTER TABLE effects ADD COLUMN sent_names text[];

COMMENT ON COLUMN effects.sent_names IS 'Every name that the answer gave to the message that a send_text became.';
