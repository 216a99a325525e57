-- Gives up a place in the queue, or a grant of which the tool has not started.
--
-- parts: step fields log requests leases queue records versions judging granting
-- ARGV   4 owner, 5 reason (empty: nothing is logged), from 6 on: the request, or nothing

local owner, reason = ARGV[4], ARGV[5]
local lease, waiter = leases.of(owner), queue.of(owner)
local ask = lease and lease.ask or waiter and waiter.ask or ARGV[6] and requests.from_arguments(6)
if lease then
  granting.release(lease)
  if lease.claimed then
    log.tell('lock.released', ask, requests.names_of(lease.ask), lease.fence, '"held":' .. seconds(ticks - lease.since))
  end
end
if waiter then granting.leave_queue(waiter) end
if reason ~= '' and ask then
  if waiter then ask.waited = ticks - waiter.arrived end
  judging.deny(ask, reason)
end
granting.hand_on()
return granting.finish('withdrawn')
