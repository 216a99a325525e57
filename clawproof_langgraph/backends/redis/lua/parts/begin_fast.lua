-- Begins of which nothing has to be weighed, as nearly all are: everything wanted is free; or the grant that was handed
-- over is claimed; or one other call holds what is wanted, and the request gets in line. It wants all its resources for
-- itself, nothing is known of its call, and its agent is not stopped. What is done is what the rules would do; they get
-- whatever does not fit.

if (ARGV[11] or '') ~= '' and #ARGV < 1000 then
  local owner, repeated, about, tool, session = ARGV[4], ARGV[5] ~= '0', ARGV[11], ARGV[12], ARGV[15]
  local found = call('HMGET', STATE, 'c', 'l' .. owner, 's' .. session, unpack(ARGV, 19))
  local rows, is_free, is_new = 3 + ARGV[18], true, true -- first its resources are found, then what is known of its call
  for i = 4, #found do
    if found[i] then
      is_free = false
      is_new = is_new and i <= rows
    end
  end

  local function write_start(more, waited)
    local newest, count = string.match(found[1] or '0 0', '(%d+) (%d+)')
    local clock = max(newest + 1, floor(now * 1000000))
    local fence = exactly(clock)
    local told = about .. ',"' .. fence .. '","' .. precisely(now) .. '",{'
    local inside = ARGV[17] ~= '0' and ',"inside":' .. text(string.match(cjson.decode(ARGV[10])[9], '%S+$')) or ''
    local locked = '["lock.acquired",' .. told .. '"waited":' .. waited .. inside .. '}]'
    local started = '["call.started",' .. told .. ARGV[8] .. '"tool":' .. tool .. ',"attempt":1,"waited":' .. waited .. '}]'
    if tool == '' then
      call('XADD', LOG, fence .. '-0', '0', locked)
      count = count + 1
    elseif ARGV[14] == '0' then -- no locks of the user's: the fence is the cursor of the start
      call('XADD', LOG, fence .. '-0', '0', started)
      count = count + 1
    else
      clock, count = clock + 1, count + 2
      call('XADD', LOG, exactly(clock) .. '-0', '1', locked, '0', started)
    end
    local expires, since = precisely(ticks + ARGV[13]), precisely(ticks)
    local lease = fence .. ' ' .. expires .. ' ' .. since .. ' ' .. since .. ' 1 0 0\n' .. ARGV[10]
    call('HSET', STATE, 'c', format('%.0f %d', clock, count), 'l' .. owner, lease, unpack(more))
    call('ZADD', ENDS, expires, 'l' .. owner)
    return {'granted', owner, fence, ARGV[16], 0, '0', '', precisely(ticks)}
  end

  local function last_ticket()
    local ticket = 0
    for i = 4, rows do
      if found[i] and sub(found[i], 1, 2) ~= '0 ' then
        local prefix = 'q' .. sub(ARGV[i + 15], 2) .. '\0' .. ORDINARY
        local each = call('ZREVRANGEBYLEX', INDEX, '(' .. prefix .. '\255', '[' .. prefix, 'LIMIT', 0, 1)[1]
        if each then ticket = max(ticket, tonumber(sub(each, #prefix + 1, #prefix + 16))) end
      end
    end
    return ticket
  end

  local function get_in_line(name, holder, other, expires)
    local place = ORDINARY .. format('%016.0f', max(last_ticket() + 1, floor(now * 1000000)))
    local set = {'w' .. owner, place .. ' ' .. precisely(ticks) .. '\n' .. ARGV[10]}
    local members = {0, 'm' .. session .. '\0' .. owner}
    for i = 4, rows do
      local waiting, rest = string.match(found[i] or '0 0', '^(%d+)(.*)$')
      local member = sub(ARGV[i + 15], 2) .. '\0' .. place .. '\0' .. owner
      set[#set + 1], set[#set + 2] = ARGV[i + 15], (waiting + 1) .. rest
      members[#members + 1], members[#members + 2], members[#members + 3], members[#members + 4] = 0, 'q' .. member, 0, 'x' .. member
    end
    local until_then = ticks + WAITER_LIFE
    local short = until_then - (found[3] or 0)
    if short < 0 or short > LIFE_STEP then
      set[#set + 1], set[#set + 2] = 's' .. session, precisely(until_then)
      call('ZADD', ENDS, until_then, 's' .. session)
    end
    call('HSET', STATE, unpack(set))
    call('ZADD', INDEX, unpack(members))
    return {'queued', name, other[3], holder, other[5], precisely(expires - ticks), 0, 0, 0, precisely(ticks)}
  end

  if repeated and is_new and found[2] then
    -- Its grant waits for it as long as that has not passed on; otherwise the rules know what became of it.
    local expires, arrived, kept = string.match(found[2], '^0 (%S+) (%S+) %S+ 0 0 0\n(.*)$')
    expires = tonumber(expires)
    if kept == ARGV[10] and ticks < expires and expires <= ticks + CLAIM_WITHIN + 1 then
      call('ZREM', INDEX, 't' .. session .. '\0' .. owner)
      return write_start({}, ARGV[5] == '3' and seconds(ticks - arrived) or ARGV[6])
    end
  elseif is_free and not repeated then
    local held = {}
    for i = 19, rows + 15 do
      held[#held + 1] = ARGV[i]
      held[#held + 1] = '0 0 ' .. owner
    end
    return write_start(held, ARGV[6])
  elseif is_new and not repeated and ARGV[17] == '0' then
    local name, holder, kept
    for i = 4, rows do
      local readers, owners = string.match(found[i] or '0 0', '^%d+ (%d+) ?(%S*)')
      if readers ~= '0' then break end
      if owners ~= '' then
        name, holder = sub(ARGV[i + 15], 2), owners
        break
      end
    end
    if holder and string.byte(name) ~= 244 then kept = call('HGET', STATE, 'l' .. holder) end
    if kept then
      local expires, other = string.match(kept, '^%S+ (%S+) [^\n]*\n(.*)$')
      expires, other = tonumber(expires), cjson.decode(other)
      if ticks < expires and expires <= ticks + max(other[2], CLAIM_WITHIN) + 1 then
        return get_in_line(name, holder, other, expires)
      end
    end
  end
end
