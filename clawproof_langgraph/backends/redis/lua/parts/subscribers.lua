-- How far the log was read under a name, and by whom.
--
-- p<name>  cursor, until when nobody else may read, when its reader was last seen, separated by spaces; then, after one
--          more, the owner that reads (empty for nobody)
-- t        the newest cursor that was trimmed from the log

local READER_LIFE = 5

function subscribers.of(name)
  local kept = fields.read('p' .. name)
  if not kept then return false end
  local reached, ends, seen, owner = string.match(kept, '^(%S+) (%S+) (%S+) (.*)$')
  return {name = name, cursor = tonumber(reached), ends = tonumber(ends), seen = tonumber(seen), owner = owner}
end

function subscribers.put(name, reached, owner)
  fields.write('p' .. name, exactly(reached) .. ' ' .. precisely(ticks + READER_LIFE) .. ' ' .. precisely(now) .. ' ' .. owner)
end

-- Tells whether somebody else reads, and lives: an end further away than it can be was written by a clock that was set
-- back since.
function subscribers.is_taken(subscriber, owner)
  if subscriber.owner == '' or subscriber.owner == owner then return false end
  return ticks < subscriber.ends and subscriber.ends <= ticks + READER_LIFE + 1
end

function subscribers.trimmed_to() return tonumber(fields.read('t') or 0) end
