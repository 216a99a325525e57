-- Takes up a subscription where it stands, or makes it.
--
-- parts: step fields log subscribers
-- ARGV   4 name, 5 owner, 6 where a new one begins: now, earliest, or a cursor
-- reply  at, cursor; taken, name

local name, owner, start = ARGV[4], ARGV[5], ARGV[6]
local subscriber = subscribers.of(name)
if subscriber and subscribers.is_taken(subscriber, owner) then return {'taken', name} end
local reached = subscriber and subscriber.cursor
if not reached and start == 'now' then
  reached = log.read_clock()
elseif not reached then
  reached = start == 'earliest' and subscribers.trimmed_to() or tonumber(start)
end
subscribers.put(name, reached, owner)
call('ZADD', INDEX, 0, 'p' .. name)
fields.write_changes()
return {'at', exactly(reached)}
