-- Appends an event that belongs to no other command.
--
-- parts: step once fields log
-- ARGV   4 type, 5 agent, 6 thread, 7 call, 8 key, 9 resources (a line for each), 10 fence, 11 data (a JSON object without
--        its braces)
-- reply  its cursor

local about = {agent = ARGV[5], thread = ARGV[6], owner = ARGV[7], key = ARGV[8]}

log.tell(ARGV[4], about, ARGV[9], tonumber(ARGV[10]), ARGV[11])
log.write()
fields.write_changes()
return once.said(exactly((log.read_clock())))
