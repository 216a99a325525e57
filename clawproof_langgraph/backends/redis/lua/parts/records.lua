-- What is known of a call by its idempotency key.
--
-- key -> state, agent, thread, tool, scope, fingerprint, owner, fence, attempt, result (false for none), first_at,
--        updated_at, same_as (the key of the call that it has turned out to be), resources (a line for each), reason,
--        doubted_before, touched (its effect may have happened though it did not succeed), asked (task, fence, ...),
--        lineage

local NAMES = {
  'state', 'agent', 'thread', 'tool', 'scope', 'fingerprint', 'owner', 'fence', 'attempt', 'result', 'first_at',
  'updated_at', 'same_as', 'resources', 'reason', 'doubted_before', 'touched', 'asked', 'lineage',
}

local function record_of(key)
  local packed = call('HGET', RECORDS, key)
  if not packed then return false end
  local row, record = unpacked(packed), {key = key}
  for i, name in ipairs(NAMES) do record[name] = row[i] end
  return record
end

local function unsettled_member(record)
  return 'u' .. record.scope .. '\0' .. format('%020.6f', record.first_at) .. '\0' .. record.key
end

local function count_unsettled(scope, difference)
  if scope == '' then return end
  local count = tonumber(read('u' .. scope) or 0) + difference
  write('u' .. scope, count > 0 and tostring(count))
end

local function index_unsettled(record)
  if call('ZADD', INDEX, 0, unsettled_member(record)) == 1 then count_unsettled(record.scope, 1) end
end

local function forget_unsettled(record)
  if call('ZREM', INDEX, unsettled_member(record)) == 1 then count_unsettled(record.scope, -1) end
end

-- earlier: what is replaced, false for nothing
local function put_record(record, earlier)
  local row = {}
  for i, name in ipairs(NAMES) do row[i] = record[name] end
  call('HSET', RECORDS, record.key, pack(row))
  call('ZADD', AGES, record.updated_at, record.key)
  if earlier and earlier.touched then forget_unsettled(earlier) end
  if record.touched then index_unsettled(record) end
end

local function drop_record(record)
  call('HDEL', RECORDS, record.key)
  call('ZREM', AGES, record.key)
  if record.touched then forget_unsettled(record) end
end

local function changed_record(record, changes)
  local other = {}
  for name, value in pairs(record) do other[name] = value end
  for name, value in pairs(changes) do other[name] = value end
  return other
end

local function key_of_unsettled(found)
  return string.match(found, '^u[^%z]*%z[^%z]*%z(.*)$')
end

-- those of a scope whose effect may have happened, the oldest first, as long as `wanted` does not take one
local function find_unsettled(scope, wanted)
  if not read('u' .. scope) then return false end
  local prefix, after = 'u' .. scope .. '\0', nil
  while true do
    local found = range(prefix, after, 64)
    for _, each in ipairs(found) do
      local record = record_of(key_of_unsettled(each))
      if record and wanted(record) then return record end
    end
    if #found < 64 then return false end
    after = found[#found]
  end
end
