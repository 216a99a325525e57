-- Forgets a subscription.
--
-- parts: step state
-- ARGV   4 name

write('p' .. ARGV[4], false)
call('ZREM', INDEX, 'p' .. ARGV[4])
write_changes()
return 'forgotten'
