-- What is recorded once, though nothing in it tells a repetition from another of its kind: whoever lost the reply sends it
-- again under the same key.
--
-- KEYS  7 said  string  there is one as long as somebody may still ask again

if not call('SET', KEYS[7], '1', 'NX', 'EX', 60) then return 'known' end
