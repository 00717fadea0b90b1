-- Replies whose outcome is not known hold their lanes up for a while: the youngest of them are read
-- with every lease, and there may be many old ones.
CREATE INDEX effects_in_doubt ON effects (settled_at) WHERE kind = 'send_text' AND state = 'unknown';
