-- Ends a lease, records how the call came out, and hands its resources on.
--
-- parts: step settle_free state log requests leases queue records judging granting outcomes
-- ARGV   from 4 on: an outcome (outcomes.lua)
-- reply  settled, late (the lease had ended) or gone (and somebody else knows better)

local outcome = outcome_from(4)
local lease = lease_of(outcome.owner)
if not lease or not lease.claimed then
  end_dead_run(outcome.key)
  local reply = settle_late(outcome)
  hand_on()
  return finish(reply)
end
local wanted = {'c'}
for _, want in ipairs(lease.wants) do wanted[#wanted + 1] = 'r' .. name_of(want) end
read_ahead(wanted)
release(lease)
if outcome.state ~= '' then record_outcome(lease, outcome) end
local names = names_of(lease.ask)
if names ~= '' then
  tell('lock.released', lease.ask, names, lease.fence, '"held":' .. seconds(ticks - lease.since))
end
hand_on()
return finish('settled')
