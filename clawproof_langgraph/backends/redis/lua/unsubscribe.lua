-- Forgets a subscription.
--
-- parts: step fields
-- ARGV   4 name

fields.write('p' .. ARGV[4], false)
call('ZREM', INDEX, 'p' .. ARGV[4])
fields.write_changes()
return 'forgotten'
