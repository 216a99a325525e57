-- What is recorded once, though nothing in it tells a repetition from another of its kind: whoever lost the reply sends it
-- again with the same key, and gets the same reply.
--
-- KEYS  7 said  string  the reply; there is one as long as somebody may still ask again

local before = call('GET', KEYS[7])
if before then return before end

function once.said(reply)
  call('SET', KEYS[7], reply, 'EX', 60)
  return reply
end
