-- What a status echoes of the request that sent its message: by this a reply whose answer was
-- lost is known to have gone out.
ALTER TABLE messages ADD COLUMN callback_data text COLLATE "C";

COMMENT ON COLUMN messages.callback_data IS 'What whoever sent it asked to have echoed in its statuses; ours is buzon:effect:<id>. Greatest.';
