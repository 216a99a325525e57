-- Gives up a place in the queue, or a grant of which the tool has not started.
--
-- parts: step state log requests leases queue records judging granting
-- ARGV   4 owner, 5 reason (empty: nothing is logged), from 6 on: the request, or nothing

local owner, reason = ARGV[4], ARGV[5]
local lease, waiter = lease_of(owner), waiter_of(owner)
local ask = lease and lease.ask or waiter and waiter.ask or ARGV[6] and request_from(6)
if lease then
  release(lease)
  if lease.claimed then
    tell('lock.released', ask, names_of(lease.ask), lease.fence, '"held":' .. seconds(ticks - lease.since))
  end
end
if waiter then leave_queue(waiter) end
if reason ~= '' and ask then
  if waiter then ask.waited = ticks - waiter.arrived end
  deny(ask, reason)
end
hand_on()
return finish('withdrawn')
