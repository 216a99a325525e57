-- The log: a stream with one entry for each step, whose id is the cursor of the step's last event. Its fields are the
-- events in order: how far before that cursor each is, and a JSON array of type, agent, thread, call, key, resources (a
-- line for each), fence, date and data.
--
-- A fence is the cursor of the event that tells of its grant: beyond all before, and not before the date in µs.
--
-- c  the cursor of the newest event, and how many events are kept

local cursor, kept
local appended = {}

-- Gives the cursor of the newest event, and how many are kept.
function log.read_clock()
  if not cursor then
    local last, count = string.match(fields.read('c') or '0 0', '(%d+) (%d+)')
    cursor, kept = tonumber(last), tonumber(count)
  end
  return cursor, kept
end

local function write_clock()
  fields.write('c', exactly(cursor) .. ' ' .. exactly(kept))
end

-- Counts events that were deleted.
function log.forget(count)
  log.read_clock()
  kept = kept - count
  write_clock()
end

function log.next_cursor()
  log.read_clock()
  return max(cursor + 1, floor(now * 1000000))
end

-- about: agent, thread, owner, key.  data: a JSON object without its braces.  Gives the event as it is written.
function log.tell(kind, about, names, fence, data)
  cursor = log.next_cursor()
  local first = text({kind, about.agent or '', about.thread or '', about.owner or '', about.key or '', names})
  local entry = sub(first, 1, -2) .. ',"' .. exactly(fence) .. '","' .. precisely(now) .. '",{' .. (data or '') .. '}]'
  appended[#appended + 1] = {cursor, entry}
  return entry
end

local SEARCHED = 10000 -- the most entries that are searched for an event
local UNHEARD = 60 -- seconds for which somebody may still ask again whose reply was lost

-- Tells whether an event was told of a call not long ago.
function log.was_told(kind, owner)
  local first, name = '["' .. kind .. '",', ',' .. text(owner) .. ','
  local from, to, looked_at = exactly(max(floor((now - UNHEARD) * 1000000), 0)), '+', 0
  repeat
    local found = call('XREVRANGE', LOG, to, from, 'COUNT', 500)
    for _, entry in ipairs(found) do
      for i = 2, #entry[2], 2 do
        local event = entry[2][i]
        if sub(event, 1, #first) == first and string.find(event, name, #first, true) then return true end
      end
    end
    looked_at, to = looked_at + #found, #found > 0 and '(' .. found[#found][1]
  until #found < 500 or looked_at >= SEARCHED
  return false
end

function log.write()
  if #appended == 0 then return end
  local entry = {}
  for _, each in ipairs(appended) do
    entry[#entry + 1] = exactly(cursor - each[1])
    entry[#entry + 1] = each[2]
  end
  call('XADD', LOG, exactly(cursor) .. '-0', unpack(entry))
  kept = kept + #appended
  write_clock()
end
