-- Replay pages through the archive in the order in which it was received. Rows come in that
-- order, more or less: the index grows at its end, which is cheap.
-- Not CONCURRENTLY: Postgres can't do that to a partitioned table.
CREATE INDEX webhooks_received_at ON webhooks (received_at, id);
