-- Lets a stopped agent go on.
--
-- parts: step log
-- ARGV   4 agent, 5 by

write('k' .. ARGV[4], false)
tell('agent.revived', {agent = ARGV[4]}, '', 0, '"by":' .. text(ARGV[5]))
write_log()
write_changes()
return 'revived'
