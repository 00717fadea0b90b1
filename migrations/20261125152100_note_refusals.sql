-- Several events tell of one message, in dialects that say more or less of it. Why an effect is
-- refused, and how it is addressed, is what all of them say together, whichever came first.

ALTER TABLE effects ADD COLUMN refused text
    CHECK (refused IN ('off', 'origin', 'too_old', 'not_addressable'));

COMMENT ON COLUMN effects.refused IS 'Why it was discarded before anything was tried, as long as that can change: a later event may say more.';
