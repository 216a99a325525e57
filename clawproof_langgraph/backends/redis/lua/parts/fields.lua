-- Fields of the state: as they were read or are to be written; false where there is none.

local known, changed = {}, {}

function fields.read(field)
  local value = known[field]
  if value == nil then
    value = call('HGET', STATE, field)
    known[field] = value
  end
  return value
end

function fields.read_ahead(names)
  for first = 1, #names, 1000 do
    local found = call('HMGET', STATE, unpack(names, first, min(first + 999, #names)))
    for i, value in ipairs(found) do
      if not changed[names[first + i - 1]] then known[names[first + i - 1]] = value end
    end
  end
end

function fields.write(field, value)
  known[field] = value or false -- nil would be read again, and what is gone be written back
  changed[field] = true
end

function fields.in_batches(command, key, list, size)
  for first = 1, #list, size do
    call(command, key, unpack(list, first, min(first + size - 1, #list)))
  end
end

function fields.write_changes()
  local set, gone = {}, {}
  for field in pairs(changed) do
    local value = known[field]
    if value then
      set[#set + 1] = field
      set[#set + 1] = value
    else
      gone[#gone + 1] = field
    end
  end
  fields.in_batches('HSET', STATE, set, 2000)
  fields.in_batches('HDEL', STATE, gone, 2000)
end

-- members of the index that begin with a text, after another member or from the first
function fields.range(prefix, after, limit)
  return call('ZRANGEBYLEX', INDEX, after and '(' .. after or '[' .. prefix, '(' .. prefix .. '\255', 'LIMIT', 0, limit)
end

