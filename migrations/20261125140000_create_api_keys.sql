-- What the workers that share a key of Kapso's API know of it together. It is read and
-- written in the transactions that lease effects and that record outcomes, so that limits
-- and holds are the same for any number of workers.

CREATE TABLE api_keys (
    id            text COLLATE "C" PRIMARY KEY,
    limited_until timestamptz,
    failures      integer NOT NULL DEFAULT 0 CHECK (failures >= 0),
    hold          text CHECK (hold IN ('failing', 'token_refused')),
    held_since    timestamptz,
    next_probe_at timestamptz,
    probe         text COLLATE "C",
    probe_until   timestamptz,
    CONSTRAINT held_since_when CHECK ((hold IS NULL) = (held_since IS NULL)),
    CONSTRAINT held_until_a_probe CHECK ((hold IS NULL) = (next_probe_at IS NULL)),
    CONSTRAINT a_probe_ends CHECK ((probe IS NULL) = (probe_until IS NULL)),
    CONSTRAINT probed_while_held CHECK (probe IS NULL OR hold IS NOT NULL)
);

COMMENT ON COLUMN api_keys.id IS 'A fingerprint of address and key; the key can not be read from it.';
COMMENT ON COLUMN api_keys.limited_until IS 'Kapso has said 429: no call before then.';
COMMENT ON COLUMN api_keys.failures IS 'Failed connections and 5xx since the last call that was answered.';
COMMENT ON COLUMN api_keys.hold IS 'Why only probes are sent, one at a time: failing (so many failures in a row), token_refused.';
COMMENT ON COLUMN api_keys.next_probe_at IS 'No probe before then.';
COMMENT ON COLUMN api_keys.probe IS 'The lease of the probe that is under way.';
COMMENT ON COLUMN api_keys.probe_until IS 'When that lease runs out.';

ALTER TABLE effects ADD COLUMN lease_token text COLLATE "C";
COMMENT ON COLUMN effects.lease_token IS 'Whose lease it is. A dispatcher that did not see its lease confirmed gives it back by this.';

-- Which effects wait, in the order in which they became due.
CREATE INDEX effects_due ON effects (kind, next_at) WHERE state = 'pending' AND lease IS NULL;
-- The first of its kind in a lane.
CREATE INDEX effects_pending_by_lane ON effects (lane, kind, id) WHERE state = 'pending';
-- Lanes in which something is in flight or in doubt.
CREATE INDEX effects_busy_lanes ON effects (lane) WHERE lease IS NOT NULL OR state = 'unknown';
-- What time settles, and what a dispatcher gives back.
CREATE INDEX effects_leased_until ON effects (lease) WHERE lease IS NOT NULL;
CREATE INDEX effects_expiring ON effects (expires_at) WHERE state = 'pending' AND lease IS NULL;
CREATE INDEX effects_lease_token ON effects (lease_token) WHERE lease_token IS NOT NULL;
-- The calls of the last minute.
CREATE INDEX effect_attempts_started_at ON effect_attempts (started_at);

-- Replaced by the above; workers of the version before need them for speed only.
DROP INDEX effects_pending;
DROP INDEX effects_open_by_lane;
