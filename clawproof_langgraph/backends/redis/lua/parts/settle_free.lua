-- The end of a lease for which nobody waits, of a call that was run once and is done, or of a plain lock. Anything else is
-- left to the rules. What it writes is what they write.

if ARGV[17] ~= '' and (ARGV[6] == 'done' or ARGV[6] == '') and ARGV[14] == '' and #ARGV < 1000 then
  local owner, fence, state, key, about, tool = ARGV[4], ARGV[5], ARGV[6], ARGV[7], ARGV[17], ARGV[19]
  local wanted = {'c', 'l' .. owner}
  local last = 21 + ARGV[21]
  for i = 22, last do wanted[i - 19] = ARGV[i] end
  local found, held = call('HMGET', STATE, unpack(wanted)), '0 0 ' .. owner
  local granted, since, request = string.match(found[2] or '', '^(%S+) %S+ (%S+) %S+ 1 0 %d\n()')
  local is_free = granted == fence and last == #ARGV
  for i = 3, #wanted do
    if found[i] ~= held then
      is_free = false
      break
    end
  end
  if is_free then
    local clock, count = string.match(found[1], '(%d+) (%d+)')
    clock = max(clock + 1, floor(now * 1000000))
    local date = format('%.17g', now)
    local told = about .. ',"' .. fence .. '","' .. date .. '",{"held":' .. format('%.6f', ticks - since)
    local released = '["lock.released",' .. told .. '}]'
    local ended = '["call.done",' .. told .. ',"tool":' .. tool .. ',"attempt":' .. ARGV[12] .. ARGV[15] .. '}]'
    if state == '' then
      call('XADD', LOG, format('%.0f', clock) .. '-0', '0', released)
      count = count + 1
    elseif ARGV[20] == '0' then
      call('XADD', LOG, format('%.0f', clock) .. '-0', '0', ended)
      count = count + 1
    else
      clock, count = clock + 1, count + 2
      call('XADD', LOG, format('%.0f', clock) .. '-0', '1', ended, '0', released)
    end
    wanted[1] = 'l' .. owner
    call('HDEL', STATE, unpack(wanted))
    call('ZREM', ENDS, 'l' .. owner)
    clock = format('%.0f %d', clock, count)
    if key == '' then
      call('HSET', STATE, 'c', clock)
    else
      local record = 'done ' .. fence .. ' ' .. ARGV[12] .. ' ' .. format('%.17g', fence / 1000000) .. ' ' .. date .. ' 0 0 '
        .. ARGV[8] .. '\n' .. ARGV[18] .. '\n' .. ARGV[9]
      call('HSET', STATE, 'c', clock, 'd' .. key, record)
      call('ZADD', AGES, date, key)
    end
    return 'settled'
  end
end
