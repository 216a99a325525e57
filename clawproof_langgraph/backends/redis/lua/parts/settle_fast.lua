-- Ends of which nothing has to be weighed, as nearly all are: that of a plain lock, or of a call that was run once and is
-- done. Nobody waits for what it held; or one request is the first in each line there, and waits for nothing else that
-- somebody has or wants before it. What is done is what the rules would do; they get whatever does not fit.

if (ARGV[6] == 'done' or (ARGV[6] == '' and ARGV[20] ~= '0')) and ARGV[17] ~= '' and ARGV[13] == '' and ARGV[14] == ''
  and #ARGV < 1000 then
  local owner, fence, state, key, about, tool = ARGV[4], ARGV[5], ARGV[6], ARGV[7], ARGV[17], ARGV[19]
  local found, rows = call('HMGET', STATE, 'c', 'l' .. owner, unpack(ARGV, 22)), 2 + ARGV[21]
  local granted, since = string.match(found[2] or '', '^(%S+) %S+ (%S+) %S+ 1 0 %d\n')
  local is_simple, held, lines = granted == fence and rows == #found, '0 0 ' .. owner, {}
  for i = 3, rows do
    if found[i] ~= held then
      lines[#lines + 1] = ARGV[i + 19]
      is_simple = is_simple and found[i] and string.match(found[i], '^%d+(.*)$') == sub(held, 2)
    end
  end

  local function first_in(line)
    local prefix = 'q' .. sub(line, 2) .. '\0'
    local each = call('ZRANGEBYLEX', INDEX, '[' .. prefix, '(' .. prefix .. '\255', 'LIMIT', 0, 1)[1]
    return each and sub(each, #prefix + 1)
  end

  -- the one that is first in each line, if it is one, and all it needs for its grant
  local function next_in(lines)
    local first, waiting = first_in(lines[1]), {}
    for i = 2, #lines do
      if first_in(lines[i]) ~= first then return nil end
    end
    local heir = first and sub(first, 1, 1) == ORDINARY and sub(first, 19)
    local waiter = heir and call('HGET', STATE, 'w' .. heir)
    if not waiter then return nil end
    local arrived, kept = string.match(waiter, '^%S+ (%S+)\n(.*)$')
    local ask = cjson.decode(kept)
    local wants = ask[13]
    if ask[7] ~= '' then wants[#wants + 1] = 'x' .. SCOPE .. ask[7] end
    if ask[6] ~= '' then wants[#wants + 1] = 'x' .. KEY .. ask[6] end
    local fields = {'s' .. ask[1]}
    for i, want in ipairs(wants) do
      if sub(want, 1, 1) ~= 'x' then return nil end
      fields[i + 1] = 'r' .. sub(want, 2)
    end
    local there = #fields < 1000 and call('HMGET', STATE, unpack(fields)) or {}
    local until_then = tonumber(there[1] or 0)
    if until_then <= ticks or until_then > ticks + WAITER_LIFE + 1 then return nil end
    for i = 2, #fields do
      local count, rest = string.match(there[i] or '', '^(%d+)(.*)$')
      local is_ours = rest == sub(held, 2)
      if not is_ours and (rest ~= ' 0' or (count ~= '1' and first_in(fields[i]) ~= first)) then return nil end
      -- A scope keeps nobody from his turn who sees that its holder lives, so there may be more to hand over.
      if #lines > 1 and count ~= '1' and sub(fields[i], 2, 5) == SCOPE then return nil end
      waiting[#waiting + 1] = {fields[i], count - 1}
    end
    return {owner = heir, place = sub(first, 1, 17), session = ask[1], bell = ask[10], arrived = arrived, kept = kept, rows = waiting}
  end

  local heir
  if is_simple and #lines > 0 then
    heir = next_in(lines)
    is_simple = heir ~= nil
  end

  local function hand_over(gone, set)
    local owner, tail = heir.owner, '\0' .. heir.place .. '\0' .. heir.owner
    local members, now_holds = {'m' .. heir.session .. '\0' .. owner}, {}
    for _, row in ipairs(heir.rows) do
      local name = sub(row[1], 2)
      members[#members + 1], members[#members + 2] = 'q' .. name .. tail, 'x' .. name .. tail
      set[#set + 1], set[#set + 2] = row[1], row[2] .. ' 0 ' .. owner
      now_holds[row[1]] = true
    end
    call('ZADD', INDEX, 0, 't' .. heir.session .. '\0' .. owner) -- first, so that the key stays (see `hand_over` of the rules)
    call('ZREM', INDEX, unpack(members))
    local expires = precisely(ticks + CLAIM_WITHIN)
    set[#set + 1] = 'l' .. owner
    set[#set + 1] = '0 ' .. expires .. ' ' .. heir.arrived .. ' ' .. precisely(ticks) .. ' 0 0 0\n' .. heir.kept
    call('ZADD', ENDS, expires, 'l' .. owner)
    gone[#gone + 1] = 'w' .. owner
    for i = 22, #ARGV do
      if not now_holds[ARGV[i]] then gone[#gone + 1] = ARGV[i] end
    end
    if heir.bell ~= '' then -- it may be out of reach (see `finish`)
      redis.pcall('RPUSH', ARGV[3] .. heir.bell, owner)
      redis.pcall('EXPIRE', ARGV[3] .. heir.bell, 60)
    end
  end

  if is_simple then
    local clock, count = string.match(found[1], '(%d+) (%d+)')
    clock = max(clock + 1, floor(now * 1000000))
    local date = precisely(now)
    local told = about .. ',"' .. fence .. '","' .. date .. '",{"held":' .. seconds(ticks - since)
    local released = '["lock.released",' .. told .. '}]'
    local ended = '["call.done",' .. told .. ',"tool":' .. tool .. ',"attempt":' .. ARGV[12] .. ARGV[15] .. '}]'
    if state == '' then
      call('XADD', LOG, exactly(clock) .. '-0', '0', released)
      count = count + 1
    elseif ARGV[20] == '0' then
      call('XADD', LOG, exactly(clock) .. '-0', '0', ended)
      count = count + 1
    else
      clock, count = clock + 1, count + 2
      call('XADD', LOG, exactly(clock) .. '-0', '1', ended, '0', released)
    end
    local set, gone = {'c', format('%.0f %d', clock, count)}, {'l' .. owner}
    if heir then
      hand_over(gone, set)
      call('HDEL', STATE, unpack(gone))
    else
      call('HDEL', STATE, 'l' .. owner, unpack(ARGV, 22))
    end
    call('ZREM', ENDS, 'l' .. owner)
    if state ~= '' and key ~= '' then
      set[#set + 1] = 'd' .. key
      set[#set + 1] = 'done ' .. fence .. ' ' .. ARGV[12] .. ' ' .. precisely(fence / 1000000) .. ' ' .. date .. ' 0 0 ' .. ARGV[8]
        .. '\n' .. ARGV[18] .. '\n' .. ARGV[9]
      call('RPUSH', AGES, date .. ' ' .. key)
    end
    call('HSET', STATE, unpack(set))
    return 'settled'
  end
end
