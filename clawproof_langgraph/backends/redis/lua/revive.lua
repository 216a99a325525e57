-- Lets a stopped agent go on.
--
-- parts: step once fields log stops
-- ARGV   4 agent, 5 by

fields.write('k' .. ARGV[4], false)
call('ZREM', INDEX, 'k' .. ARGV[4])
log.tell('agent.revived', {agent = ARGV[4]}, '', 0, '"by":' .. text(ARGV[5]))
stops.announce(ARGV[4])
log.write()
fields.write_changes()
return once.said('revived')
