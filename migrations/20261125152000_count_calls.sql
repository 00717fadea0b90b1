-- How many calls have left in each second of the last minutes. A limit of calls a minute is looked
-- at with every lease, and counting a minute's attempts each time costs more the more there are.

CREATE TABLE api_calls (
    second timestamptz PRIMARY KEY,
    calls  bigint NOT NULL CHECK (calls > 0)
);

COMMENT ON TABLE api_calls IS 'Calls that were allowed to leave, by the second. Workers delete what is some minutes old.';

-- By a trigger, so that whoever writes an attempt counts it, workers of the version before too:
-- the count can not drift from the attempts.
CREATE FUNCTION count_calls() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO api_calls AS counted (second, calls)
    SELECT date_trunc('second', started_at), count(*) FROM made GROUP BY 1 ORDER BY 1
    ON CONFLICT (second) DO UPDATE SET calls = counted.calls + EXCLUDED.calls;
    RETURN NULL;
END $$;

CREATE TRIGGER count_calls AFTER INSERT ON effect_attempts
    REFERENCING NEW TABLE AS made FOR EACH STATEMENT EXECUTE FUNCTION count_calls();

-- The trigger's lock is held: what is not counted by it is there.
INSERT INTO api_calls (second, calls)
SELECT date_trunc('second', started_at), count(*) FROM effect_attempts
WHERE started_at > now() - interval '2 minutes' GROUP BY 1;

-- Workers of the version before still count the attempts of a minute by this.
COMMENT ON INDEX effect_attempts_started_at IS 'Not used any more by workers that count calls by the second.';
