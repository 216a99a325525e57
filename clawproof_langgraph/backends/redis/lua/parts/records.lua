-- What is known of a call by its idempotency key.
--
-- d<key>  state, fence, attempt, first_at, updated_at, doubted_before (1 or 0), touched (1 or 0: its effect may have
--         happened though it did not succeed), has_result (1 or 0), separated by spaces; in a second line a JSON array of
--         agent, thread, tool, scope, fingerprint, owner, same_as (the key of the call that it has turned out to be),
--         resources (a line for each), reason, lineage, asked (task and fence of each question); then the result

function records.of(key)
  local kept = fields.read('d' .. key)
  if not kept then return false end
  local state, fence, attempt, first_at, updated_at, doubted, touched, has_result, row, result =
    string.match(kept, '^(%S+) (%S+) (%S+) (%S+) (%S+) (%d) (%d) (%d)\n([^\n]*)\n(.*)$')
  row = cjson.decode(row)
  return {
    key = key, state = state, fence = tonumber(fence), attempt = tonumber(attempt), first_at = tonumber(first_at),
    updated_at = tonumber(updated_at), doubted_before = doubted == '1', touched = touched == '1',
    result = has_result == '1' and result, agent = row[1], thread = row[2], tool = row[3], scope = row[4],
    fingerprint = row[5], owner = row[6], same_as = row[7], resources = row[8], reason = row[9], lineage = row[10],
    asked = row[11],
  }
end

local function unsettled_member(record)
  return 'u' .. record.scope .. '\0' .. format('%020.6f', record.first_at) .. '\0' .. record.key
end

local function count_unsettled(scope, difference)
  if scope == '' then return end
  local count = tonumber(fields.read('u' .. scope) or 0) + difference
  fields.write('u' .. scope, count > 0 and tostring(count))
end

local function index_unsettled(record)
  if call('ZADD', INDEX, 0, unsettled_member(record)) == 1 then count_unsettled(record.scope, 1) end
end

local function forget_unsettled(record)
  if call('ZREM', INDEX, unsettled_member(record)) == 1 then count_unsettled(record.scope, -1) end
end

-- Notes when a record was changed. What was noted of it before stays, and is passed over when its time has come.
function records.note_age(key, date) call('RPUSH', AGES, precisely(date) .. ' ' .. key) end

-- earlier: what is replaced, false for nothing
function records.put(record, earlier)
  local row = {
    record.agent, record.thread, record.tool, record.scope, record.fingerprint, record.owner, record.same_as,
    record.resources, record.reason, record.lineage, record.asked,
  }
  local head = format(
    '%s %.0f %d %.17g %.17g %d %d %d\n', record.state, record.fence, record.attempt, record.first_at, record.updated_at,
    record.doubted_before and 1 or 0, record.touched and 1 or 0, record.result and 1 or 0
  )
  fields.write('d' .. record.key, head .. text(row) .. '\n' .. (record.result or ''))
  records.note_age(record.key, record.updated_at)
  if earlier and earlier.touched then forget_unsettled(earlier) end
  if record.touched then index_unsettled(record) end
end

function records.drop(record)
  fields.write('d' .. record.key, false)
  if record.touched then forget_unsettled(record) end
end

function records.changed(record, changes)
  local other = {}
  for name, value in pairs(record) do other[name] = value end
  for name, value in pairs(changes) do other[name] = value end
  return other
end

function records.key_of_unsettled(found)
  return string.match(found, '^u[^%z]*%z[^%z]*%z(.*)$')
end

-- those of a scope whose effect may have happened, the oldest first, as long as `wanted` does not take one
function records.find_unsettled(scope, wanted)
  if not fields.read('u' .. scope) then return false end
  local prefix, after = 'u' .. scope .. '\0', nil
  while true do
    local found = fields.range(prefix, after, 64)
    for _, each in ipairs(found) do
      local record = records.of(records.key_of_unsettled(each))
      if record and wanted(record) then return record end
    end
    if #found < 64 then return false end
    after = found[#found]
  end
end
