-- What a call that went on without a lock is told afterwards: whether somebody had the resource alone meanwhile.

local LATE = 1      -- seconds that a request may have been on its way; who waited longer must not rely on its answer
local ENTRIES = 200 -- the most entries of the log that are looked through for a resource without a version

local function is_written(ask, name)
  local row = leases.row(name)
  for i = 3, #row do
    local lease = row[i] ~= ask.owner and not requests.is_ancestor(ask, row[i]) and leases.of(row[i])
    if lease and lease.claimed then return true end
  end
  return false
end

local function gives_back(event, name)
  if event[1] ~= 'lock.released' and event[1] ~= 'lock.expired' then return false end
  return string.find('\n' .. event[6] .. '\n', '\n' .. name .. '\n', 1, true) ~= nil
end

-- When the log tells last that a resource was given back; where it would be too much to look through, that may be now.
local function given_back(name, after)
  local found = call('XREVRANGE', LOG, '+', exactly(max(after, 0)), 'COUNT', ENTRIES)
  for _, entry in ipairs(found) do
    for i = #entry[2], 2, -2 do
      local event = cjson.decode(entry[2][i])
      if gives_back(event, name) then return tonumber(event[8]) end
    end
  end
  return #found < ENTRIES and 0 or now
end

local function glance(ask, name, elapsed)
  local row, ended = leases.row(name), 0
  if row.version then
    local kept = fields.read('v' .. name)
    ended = kept and tonumber(cjson.decode(kept)[5]) or 0
  else -- from now on its version is kept; for this once, the log knows who gave it back lately
    row.version = exactly(log.next_cursor())
    leases.put_row(name, row)
    records.note_age('\0' .. name, now)
    ended = given_back(name, floor((now - elapsed - LATE) * 1000000))
  end
  return {name = name, in_flight = is_written(ask, name), ended = ended, version = row.version}
end

local function listed(names)
  local texts = {}
  for i, name in ipairs(names) do texts[i] = text(name) end
  return '[' .. table.concat(texts, ',') .. ']'
end

local function tell_stale(ask, glances, names, elapsed)
  local in_flight, changed = {}, {}
  for _, each in ipairs(glances) do
    if each.in_flight then in_flight[#in_flight + 1] = each.name end
    if each.ended > now - elapsed then changed[#changed + 1] = each.name end
  end
  if #in_flight + #changed == 0 then return 0 end
  if ask.unheard and log.was_told('call.stale', ask.owner) then return 1 end
  local data = '"tool":' .. text(ask.tool) .. ',"in_flight":' .. listed(in_flight) .. ',"changed":' .. listed(changed)
  log.tell('call.stale', ask, names, 0, data)
  return 1
end

-- state: how the call came out, empty where it settles.  names: the resources.
function looking.look(ask, elapsed, state, attempt, error, names)
  if state ~= '' and ask.agent ~= '' and fields.read('k' .. ask.agent) then return (judging.judge(ask)) end
  local glances = {}
  for i, name in ipairs(names) do glances[i] = glance(ask, name, elapsed) end
  local lines = table.concat(names, '\n')
  local answer = {'looked', precisely(now), tell_stale(ask, glances, lines, elapsed)}
  if state ~= '' and not (ask.unheard and log.was_told(judging.EVENT_OF[state], ask.owner)) then
    local data = '"tool":' .. text(ask.tool) .. ',"attempt":' .. attempt
    if error ~= '' then data = data .. ',"error":' .. text(error) end
    log.tell(judging.EVENT_OF[state], ask, lines, 0, data)
  end
  for _, each in ipairs(glances) do
    answer[#answer + 1] = each.name
    answer[#answer + 1] = each.in_flight and 1 or 0
    answer[#answer + 1] = precisely(each.ended)
    answer[#answer + 1] = each.version
  end
  return answer
end
