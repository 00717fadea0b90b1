-- Kapso answers 402 when the project has no credits left: the key is then held as it is for a
-- refused token, under a reason of its own.
--
-- A worker of the version before does not know this reason. It reads such a row as not held, and
-- writes it back without a hold but with the time of the next probe and with the probe itself.
-- That has to be allowed: otherwise it could not record how its calls ended.

ALTER TABLE api_keys
    DROP CONSTRAINT api_keys_hold_check,
    DROP CONSTRAINT held_until_a_probe,
    DROP CONSTRAINT probed_while_held,
    ADD CONSTRAINT api_keys_hold_check CHECK (hold IN ('failing', 'token_refused', 'credits_exhausted')),
    ADD CONSTRAINT held_until_a_probe CHECK (hold IS NULL OR next_probe_at IS NOT NULL),
    ADD COLUMN marks_unpaid boolean NOT NULL DEFAULT false;

COMMENT ON COLUMN api_keys.hold IS 'Why only probes are sent, one at a time: failing (so many failures in a row), token_refused, credits_exhausted.';
COMMENT ON COLUMN api_keys.marks_unpaid IS 'Kapso has answered 402 to a mark, too: then a mark that it takes shows that there are credits again. Otherwise only a send does.';
