-- Ends a bounded number of expired leases and dead waiters, and deletes what is past its retention.
--
-- parts: step fields log requests leases queue records versions judging granting subscribers
-- ARGV   4 limit, 5 keep_results and 6 keep_events in seconds, 7 max_events, 8 subscriber_life in seconds
-- reply  expired, waiters, records, events, more (1 or 0)

write_though_full()
local limit, keep_results, keep_events = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local max_events, subscriber_life = tonumber(ARGV[7]), tonumber(ARGV[8])

local LOOK = 50 -- the most that is looked at of what ends last

local over = call('ZRANGEBYSCORE', ENDS, '-inf', ticks, 'LIMIT', 0, limit)

-- Of what has ended by its clock, and of what may end later than it can, since the clock was set back. That is behind all
-- that lives: to look there for all of it would take as long as there are leases, and a few with each sweep find it, too.
local function ended(kind, longest)
  local found = {}
  local function take(some)
    for _, member in ipairs(some) do
      if sub(member, 1, 1) == kind then found[#found + 1] = sub(member, 2) end
    end
  end
  take(over)
  take(call('ZRANGE', ENDS, '+inf', '(' .. precisely(ticks + longest), 'BYSCORE', 'REV', 'LIMIT', 0, LOOK))
  return found
end

local function sweep_leases()
  local count = 0
  for _, owner in ipairs(ended('l', CLAIM_WITHIN + 1)) do
    local lease = leases.of(owner)
    if lease and leases.is_over(lease) then
      granting.expire(lease)
      count = count + 1
    end
  end
  return count
end

local function sweep_waiters()
  local count = 0
  for _, session in ipairs(ended('s', WAITER_LIFE + 1)) do
    local prefix = 'm' .. session .. '\0'
    for _, each in ipairs(fields.range(prefix, nil, limit - count)) do
      granting.leave_queue(queue.of(sub(each, #prefix + 1)))
      count = count + 1
    end
    if count >= limit then break end
    fields.write('s' .. session, false)
    call('ZREM', ENDS, 's' .. session)
  end
  return count
end

local KEPT = {in_doubt = true, suspended = true}

-- The keys of the records that were not changed for so long, as far as they were noted.
local function old_ages()
  local old, wanted = {}, {}
  for i, each in ipairs(call('LRANGE', AGES, 0, limit - 1)) do
    local date, key = string.match(each, '^(%S+) (.*)$')
    if tonumber(date) > now - keep_results then break end
    old[i], wanted[i] = {date = tonumber(date), key = key}, sub(key, 1, 1) == '\0' and 'r' .. sub(key, 2) or 'd' .. key
  end
  if #old > 0 then
    call('LPOP', AGES, #old)
    fields.read_ahead(wanted)
  end
  return old
end

-- A call that turned out to be another is known as long as that one is. What is kept is looked at again after as long.
local function sweep_records()
  local old, count = old_ages(), 0
  for _, each in ipairs(old) do
    local is_version = sub(each.key, 1, 1) == '\0'
    local record = not is_version and records.of(each.key)
    if is_version then
      versions.retire(sub(each.key, 2), now - keep_results)
    elseif record and record.updated_at <= each.date then -- else it is gone, or was changed later
      if KEPT[record.state] or (record.same_as ~= '' and fields.read('d' .. record.same_as)) then
        records.note_age(each.key, now)
      else
        records.drop(record)
        count = count + 1
      end
    end
  end
  return count, #old
end

-- What a subscriber that has shown life has not read is not old, however old it is.
local function live_subscribers()
  local found, unread = {}, math.huge
  for _, each in ipairs(fields.range('p', nil, 1000000)) do
    local subscriber = subscribers.of(sub(each, 2))
    if subscriber.seen > now - subscriber_life then
      found[#found + 1] = subscriber
      unread = min(unread, subscriber.cursor)
    end
  end
  return found, unread
end

-- Who has missed something before knows, or will be told when it reads on: to tell of more would fill the log.
local function tell_truncated(live, before, after)
  local names, first = {}, after
  for _, each in ipairs(live) do
    if before <= each.cursor and each.cursor < after then
      names[#names + 1] = each.name
      first = min(first, each.cursor)
    end
  end
  if #names == 0 then return end
  local data = '"subscribers":' .. text(names) .. ',"from":' .. exactly(first) .. ',"to":' .. exactly(after)
  log.tell('log.truncated', {}, '', 0, data)
end

-- Whole entries go, and never the newest: the events of a step are read together.
local function sweep_events()
  local newest, kept = log.read_clock()
  local live, unread = live_subscribers()
  local old, count, past, is_full = min(floor((now - keep_events) * 1000000), unread), 0, nil, false
  for _, entry in ipairs(call('XRANGE', LOG, '-', exactly(max(newest - 1, 0)), 'COUNT', limit)) do
    local id, events = tonumber(string.match(entry[1], '%d+')), #entry[2] / 2
    if id > old and kept - count <= max_events then break end
    is_full = count > 0 and count + events > limit
    if is_full then break end
    count, past = count + events, id
  end
  if past then
    call('XTRIM', LOG, 'MINID', '=', exactly(past + 1))
    log.forget(count)
    local before = subscribers.trimmed_to()
    fields.write('t', exactly(past))
    tell_truncated(live, before, past)
  end
  return count, is_full or count >= limit
end

local expired, waiters = sweep_leases(), sweep_waiters()
granting.hand_on()
local old_records, looked_at = sweep_records()
local events, more_events = sweep_events()
local more = (more_events or #over >= limit or waiters >= limit or looked_at >= limit) and 1 or 0
return granting.finish({expired, waiters, old_records, events, more})
