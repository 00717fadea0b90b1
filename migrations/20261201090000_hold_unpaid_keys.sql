-- Kapso answers 402 when the project has no credits left: the key is then held as it is for a
-- refused token, under a reason of its own.
--
-- A worker of the version before reads `hold`, and may write it: to it such a key is held like
-- one whose token is refused, which is what it has to do. What it writes ends the reason by
-- itself, since that holds for one time of holding only.

ALTER TABLE api_keys
    ADD COLUMN unpaid_since timestamptz,
    ADD COLUMN marks_unpaid boolean NOT NULL DEFAULT false;

ALTER TABLE api_keys
    ADD COLUMN hold_reason text GENERATED ALWAYS AS
        (CASE WHEN unpaid_since = held_since THEN 'credits_exhausted' ELSE hold END) STORED;

COMMENT ON COLUMN api_keys.hold IS 'How it is held, as every version understands it: failing, token_refused (also where the credits are exhausted). Why: hold_reason.';
COMMENT ON COLUMN api_keys.unpaid_since IS 'Where it is held_since: the key is held because Kapso answers 402.';
COMMENT ON COLUMN api_keys.marks_unpaid IS 'Kapso has answered 402 to a mark, too: then a mark that it takes shows that there are credits again. Otherwise only a send does.';
COMMENT ON COLUMN api_keys.hold_reason IS 'Why only probes are sent, one at a time: failing (so many failures in a row), token_refused, credits_exhausted.';
