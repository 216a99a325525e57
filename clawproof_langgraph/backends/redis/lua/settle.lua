-- Ends a lease, records how the call came out, and hands its resources on.
--
-- parts: step settle_fast fields log requests leases queue records versions judging granting outcomes
-- ARGV   from 4 on: an outcome (outcomes.lua)
-- reply  settled, late (the lease had ended) or gone (and somebody else knows better)

local outcome = outcomes.from_arguments(4)
local lease = leases.of(outcome.owner)
if not lease or not lease.claimed then
  granting.end_dead_run(outcome.key)
  local reply = outcomes.settle_late(outcome)
  granting.hand_on()
  return granting.finish(reply)
end
local wanted = {'c'}
for _, want in ipairs(lease.wants) do wanted[#wanted + 1] = 'r' .. requests.name_of(want) end
fields.read_ahead(wanted)
granting.release(lease)
if outcome.touched and outcome.by == '' then versions.move(lease) end -- what somebody has found out was changed before
if outcome.state ~= '' then outcomes.record(lease, outcome) end
local names = requests.names_of(lease.ask)
if names ~= '' then
  log.tell('lock.released', lease.ask, names, lease.fence, '"held":' .. seconds(ticks - lease.since))
end
granting.hand_on()
return granting.finish('settled')
