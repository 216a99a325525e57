-- Lets a stopped agent go on.
--
-- parts: step state log stops
-- ARGV   4 agent, 5 by

write('k' .. ARGV[4], false)
call('ZREM', INDEX, 'k' .. ARGV[4])
tell('agent.revived', {agent = ARGV[4]}, '', 0, '"by":' .. text(ARGV[5]))
announce(ARGV[4])
write_log()
write_changes()
return 'revived'
