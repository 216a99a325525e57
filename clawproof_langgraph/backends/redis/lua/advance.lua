-- Notes how far a subscription was read, and that its reader lives.
--
-- parts: step fields log subscribers
-- ARGV   4 name, 5 owner, 6 cursor (all up to there was read), 7 over (1: the reader leaves; or 0)
-- reply  at, cursor; taken, name; forgotten, name

local name, owner = ARGV[4], ARGV[5]
local subscriber = subscribers.of(name)
if not subscriber then return {'forgotten', name} end
if subscribers.is_taken(subscriber, owner) then return {'taken', name} end
local reached = max(subscriber.cursor, tonumber(ARGV[6]))
subscribers.put(name, reached, ARGV[7] == '1' and '' or owner)
fields.write_changes()
return {'at', exactly(reached)}
