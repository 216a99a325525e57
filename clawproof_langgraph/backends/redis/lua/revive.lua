-- Lets a stopped agent go on.
--
-- parts: step once state log
-- ARGV   4 agent, 5 by

write('k' .. ARGV[4], false)
call('ZREM', INDEX, 'k' .. ARGV[4])
tell('agent.revived', {agent = ARGV[4]}, '', 0, '"by":' .. text(ARGV[5]))
write_log()
write_changes()
return 'revived'
