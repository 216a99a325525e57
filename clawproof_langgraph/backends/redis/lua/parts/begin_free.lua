-- The grant of a request that has nothing in its way and of which nothing is known: nearly all are like that, and none
-- of the rules is asked. Anything else is left to them. What it writes is what `grant` writes.

if ARGV[5] == '0' and ARGV[11] and #ARGV < 1000 then
  local owner, about, tool = ARGV[4], ARGV[11], ARGV[12]
  local wanted = {'c'}
  for i = 16, #ARGV do wanted[i - 14] = ARGV[i] end
  local found, is_free = call('HMGET', STATE, unpack(wanted)), true
  for i = 2, #wanted do
    if found[i] then
      is_free = false
      break
    end
  end
  if is_free then
    local last, count = string.match(found[1] or '0 0', '(%d+) (%d+)')
    local clock = max(last + 1, floor(now * 1000000))
    local fence = format('%.0f', clock)
    local told = about .. ',"' .. fence .. '","' .. format('%.17g', now) .. '",{'
    local locked = '["lock.acquired",' .. told .. '"waited":' .. ARGV[6] .. '}]'
    local started = '["call.started",' .. told .. ARGV[8] .. '"tool":' .. tool .. ',"attempt":1,"waited":' .. ARGV[6] .. '}]'
    if tool == '' then
      call('XADD', LOG, fence .. '-0', '0', locked)
      count = count + 1
    elseif ARGV[14] == '0' then -- no locks of the user's: the fence is the cursor of the start
      call('XADD', LOG, fence .. '-0', '0', started)
      count = count + 1
    else
      clock, count = clock + 1, count + 2
      call('XADD', LOG, format('%.0f', clock) .. '-0', '1', locked, '0', started)
    end
    local expires = format('%.17g', ticks + ARGV[13])
    local since = format('%.17g', ticks)
    local set = {
      'c', format('%.0f %d', clock, count),
      'l' .. owner, fence .. ' ' .. expires .. ' ' .. since .. ' ' .. since .. ' 1 0 0\n' .. ARGV[10],
    }
    local held = '0 0 ' .. owner
    for i = 2, #wanted do
      if string.byte(wanted[i]) == 114 then -- r
        set[#set + 1] = wanted[i]
        set[#set + 1] = held
      end
    end
    call('HSET', STATE, unpack(set))
    call('ZADD', ENDS, expires, 'l' .. owner)
    return {'granted', owner, fence, ARGV[15], 0, '0', ''}
  end
end
