-- Stops an agent.
--
-- parts: step once fields log stops
-- ARGV   4 agent, 5 reason, 6 by

local agent, reason, by = ARGV[4], ARGV[5], ARGV[6]
local flag = fields.read('k' .. agent)
local before = flag and cjson.decode(flag) or {'', '', precisely(now)}
-- killed again without a word, what was said before still holds
fields.write('k' .. agent, text({reason ~= '' and reason or before[1], by ~= '' and by or before[2], before[3]}))
call('ZADD', INDEX, 0, 'k' .. agent)
log.tell('agent.killed', {agent = agent}, '', 0, '"reason":' .. text(reason) .. ',"by":' .. text(by))
stops.announce(agent)
log.write()
fields.write_changes()
return once.said('killed')
