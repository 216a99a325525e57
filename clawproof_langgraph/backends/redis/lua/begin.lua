-- Grants, queues or answers a request.
--
-- parts: step begin_fast fields log requests leases queue records versions judging granting looking
-- ARGV   from 4 on: a request (requests.lua); if it wants all its resources alone, then what `begin_fast` needs: agent,
--        thread, owner, key and resources as JSON, the tool as JSON, ttl, whether it has locks (1 or 0), session, key,
--        whether it is nested (1 or 0), how many resources it has, and the fields of the state where they would be found,
--        and where something would be known of its scope, key and agent; or else, if versions matter, an empty text,
--        whether they are asked for (1 or 0), whether they are to be compared, and each resource that was seen, with its
--        version; or else, for a look back, an empty text, `look`, elapsed, state, attempt, error, and the resources
-- reply  granted, owner, fence, key, attempt, in_doubt, asked, of each resource its name and version if asked for, ticks
--        queued, resource, agent, owner, tool, look_again, on_key, alive, own, ticks
--        replay, key, result, rejected, asked, fence
--        held, key, tool, fence, asked
--        killed, agent, reason, by, at
--        mismatch, key, tool
--        looked, now, told, and of each resource its name, in_flight, ended, version
--        stale, and of each resource its name, the version seen, the current one, agent, tool, thread, date
--        absent, for a request that was sent ahead of its turn and has left meanwhile

local POLL = 3        -- seconds after which a waiter behind other waiters asks again, should every bell be lost
local LIFE_POLL = 0.5 -- seconds after which a waiter looks whether a holder that may be dead has shown life
local OWN_POLL = 0.05 -- the same for a holder of its own session, which was asked to renew

local function queued(ask, obstacle, arrived)
  local holder = obstacle.holder
  local other = (holder or obstacle.waiter).ask
  local name, on_key, on_scope = obstacle.name, requests.is_key(obstacle.name), requests.is_scope(obstacle.name)
  local shown = on_scope and other.tool .. ' with the same arguments' or on_key and sub(name, 5) or name
  local look_again, alive, own = POLL, 0, 0
  if holder then
    look_again = max(holder.expires - ticks, 0)
    if on_scope or (on_key and ask.ancestors ~= '') then
      -- Whether this one lives decides what is to be done, so it is looked at again soon.
      alive, own = holder.seen > arrived and 1 or 0, other.session == ask.session and 1 or 0
      look_again = min(look_again, own == 1 and OWN_POLL or LIFE_POLL)
    end
  end
  return {'queued', shown, other.agent, other.owner, other.tool, precisely(look_again), on_key and 1 or 0, alive, own, precisely(ticks)}
end

local function leave(handed, waiter)
  if handed then granting.release(handed) end
  if waiter then granting.leave_queue(waiter) end
end

local function same(one, other)
  return table.concat(one, '\n') == table.concat(other, '\n')
end

local function wait(ask, wants, waiter)
  if not waiter then
    queue.enqueue(ask, wants)
  elseif not same(waiter.wants, wants) then
    granting.leave_queue(waiter)
    queue.enqueue(ask, wants)
  else
    queue.show_life(ask.session)
  end
end

local function claim(ask, wants, record, handed)
  for _, want in ipairs(wants) do -- readers are handed over in steps of a bounded size; each claim starts the next
    if requests.is_shared(want) then granting.free(requests.name_of(want)) end
  end
  return granting.grant(ask, wants, record, handed)
end

local function refused_as_stale(ask, handed, waiter)
  local stale = versions.staleness(ask)
  if stale then leave(handed, waiter) end
  return stale
end

local function take_turn(asked, handed)
  local waiter = asked.repeated and not handed and queue.of(asked.owner)
  if asked.ahead then
    if not handed and not waiter then return {'absent'} end
    asked.waited = ticks - (handed and handed.since or waiter.arrived)
  end
  local arrived = waiter and waiter.arrived or ticks
  -- A grant that was claimed too late, or turns out to be for another key, is given up. Its owner may still take what is
  -- free before those who wait, and has to queue up again for what is not.
  local place = waiter and waiter.place or handed and queue.BEFORE_ORDINARY or queue.LAST_PLACE
  while true do
    local answer, ask, wants, record = judging.judge(asked)
    if answer then
      leave(handed, waiter)
      return answer
    end
    asked = ask
    if handed and same(handed.wants, wants) and not leases.is_over(handed) then
      return refused_as_stale(ask, handed, nil) or claim(ask, wants, record, handed)
    end
    if handed then
      granting.release(handed)
      handed = nil
    end
    local obstacle = granting.first_conflict(ask, wants, place, arrived)
    if not obstacle then
      local stale = refused_as_stale(ask, nil, waiter)
      if stale then return stale end
      local reply = granting.grant(ask, wants, record)
      leave(nil, waiter) -- not before the grant (see `hand_over`)
      return reply
    end
    if not granting.end_if_dead(obstacle) then
      wait(ask, wants, waiter)
      return queued(ask, obstacle, arrived)
    end
  end
end

local ask = requests.from_arguments(4)
if ARGV[11] == '' and ARGV[12] == 'look' then
  return granting.finish(looking.look(ask, tonumber(ARGV[13]), ARGV[14], ARGV[15], ARGV[16], {unpack(ARGV, 17)}))
elseif ARGV[11] == '' then
  ask.versions = ARGV[12] == '1'
  ask.seen = ARGV[13] == '1' and {}
  for i = 14, #ARGV, 2 do ask.seen[ARGV[i]] = ARGV[i + 1] end
end
local wanted = {'c'}
for _, want in ipairs(requests.all_wants(ask)) do wanted[#wanted + 1] = 'r' .. requests.name_of(want) end
if ask.agent ~= '' then wanted[#wanted + 1] = 'k' .. ask.agent end
if ask.scope ~= '' then wanted[#wanted + 1] = 'u' .. ask.scope end
if ask.key ~= '' then wanted[#wanted + 1] = 'd' .. ask.key end
if ask.repeated then
  wanted[#wanted + 1] = 'l' .. ask.owner
  wanted[#wanted + 1] = 'w' .. ask.owner
end
fields.read_ahead(wanted)

local lease = ask.repeated and leases.of(ask.owner)
if lease and lease.claimed then -- the reply to an earlier begin was lost; its TTL counts from this one
  lease.expires, lease.seen = ticks + ask.ttl, ticks
  leases.put(lease)
  return granting.finish(granting.granted(ask, lease, lease.attempt > 0 and records.of(lease.ask.key)))
end
local reply = take_turn(ask, lease)
granting.hand_on()
return granting.finish(reply)
