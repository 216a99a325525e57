-- Extends leases, shows that a session's waiters are alive, and reads what concerns them.
--
-- parts: step fields log requests leases queue records versions judging granting
-- ARGV   4 session, 5 whether it has waiters (1 or 0), 6 how many leases, then owner and ttl of each, then agents
-- reply  the owners whose lease is gone; agent, reason, by, at of each that is stopped; the owners that were handed a
--        grant and have not claimed it; whether something has ended and waits to be swept (1 or 0)

write_though_full()
local session, waiting, count = ARGV[4], ARGV[5] == '1', tonumber(ARGV[6])
local wanted = {}
for i = 7, 6 + 2 * count, 2 do wanted[#wanted + 1] = 'l' .. ARGV[i] end
for i = 7 + 2 * count, #ARGV do wanted[#wanted + 1] = 'k' .. ARGV[i] end
if #wanted > 0 then fields.read_ahead(wanted) end

local lost, killed, turns, overdue = {}, {}, {}, 0
for i = 7, 6 + 2 * count, 2 do
  local lease = leases.of(ARGV[i])
  if lease and lease.claimed then
    granting.mark_suspected(lease)
    lease.expires, lease.seen = ticks + tonumber(ARGV[i + 1]), ticks
    leases.put(lease)
  else
    lost[#lost + 1] = ARGV[i]
  end
end
for i = 7 + 2 * count, #ARGV do
  local flag = fields.read('k' .. ARGV[i])
  if flag then
    local row = cjson.decode(flag)
    killed[#killed + 1] = {ARGV[i], row[1], row[2], row[3]}
  end
end
if waiting then
  queue.show_life(session)
  overdue = #call('ZRANGEBYSCORE', ENDS, '-inf', ticks, 'LIMIT', 0, 1)
  local prefix, after = 't' .. session .. '\0', nil
  repeat
    local found = fields.range(prefix, after, 500)
    for _, each in ipairs(found) do turns[#turns + 1] = sub(each, #prefix + 1) end
    after = found[#found]
  until #found < 500
end
return granting.finish({lost, killed, turns, overdue})
