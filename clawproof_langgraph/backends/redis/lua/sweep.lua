-- Ends a bounded number of expired leases and dead waiters, and deletes what is past its retention.
--
-- parts: step state log requests leases queue records judging granting
-- ARGV   4 limit, 5 keep_results and 6 keep_events in seconds, 7 max_events
-- reply  expired, waiters, records, events, more (1 or 0)

write_though_full()
local limit, keep_results, keep_events = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local max_events = tonumber(ARGV[7])

-- Of what has ended by its clock, and of what ends later than it can, since the clock was set back.
local function ended(kind, longest)
  local found = {}
  local function look(from, to)
    local offset = 0
    while #found < limit do
      local some = call('ZRANGEBYSCORE', ENDS, from, to, 'LIMIT', offset, 500)
      for _, member in ipairs(some) do
        if sub(member, 1, 1) == kind and #found < limit then found[#found + 1] = sub(member, 2) end
      end
      if #some < 500 then return end
      offset = offset + 500
    end
  end
  look('-inf', ticks)
  look('(' .. precisely(ticks + longest), '+inf')
  return found
end

local function sweep_leases()
  local count = 0
  for _, owner in ipairs(ended('l', CLAIM_WITHIN + 1)) do
    local lease = lease_of(owner)
    if lease and is_over(lease) then
      expire(lease)
      count = count + 1
    end
  end
  return count
end

local function sweep_waiters()
  local count = 0
  for _, session in ipairs(ended('s', WAITER_LIFE + 1)) do
    local prefix = 'm' .. session .. '\0'
    for _, each in ipairs(range(prefix, nil, limit - count)) do
      leave_queue(waiter_of(sub(each, #prefix + 1)))
      count = count + 1
    end
    if count >= limit then break end
    write('s' .. session, false)
    call('ZREM', ENDS, 's' .. session)
  end
  return count
end

local KEPT = {in_doubt = true, suspended = true}

-- A call that turned out to be another is known as long as that one is. What is kept is looked at again after as long.
local function sweep_records()
  local old, count = call('ZRANGEBYSCORE', AGES, '-inf', now - keep_results, 'LIMIT', 0, limit), 0
  local wanted = {}
  for i, key in ipairs(old) do wanted[i] = 'd' .. key end
  if #wanted > 0 then read_ahead(wanted) end
  for _, key in ipairs(old) do
    local record = record_of(key)
    if KEPT[record.state] or (record.same_as ~= '' and read('d' .. record.same_as)) then
      call('ZADD', AGES, now, key)
    else
      drop_record(record)
      count = count + 1
    end
  end
  return count, #old
end

-- Whole entries go, and never the newest: the events of a step are read together.
local function sweep_events()
  read_clock()
  local old, count, past = floor((now - keep_events) * 1000000), 0, nil
  for _, entry in ipairs(call('XRANGE', LOG, '-', '(' .. exactly(cursor), 'COUNT', limit)) do
    local id, events = tonumber(string.match(entry[1], '%d+')), #entry[2] / 2
    if (id > old and kept_events - count <= max_events) or (count > 0 and count + events > limit) then break end
    count, past = count + events, id
  end
  if past then
    call('XTRIM', LOG, 'MINID', '=', exactly(past + 1))
    kept_events = kept_events - count
    write_clock()
  end
  return count, count >= limit
end

local expired, waiters = sweep_leases(), sweep_waiters()
hand_on()
local records, looked_at = sweep_records()
local events, more_events = sweep_events()
local more = (more_events or expired >= limit or waiters >= limit or looked_at >= limit) and 1 or 0
return finish({expired, waiters, records, events, more})
