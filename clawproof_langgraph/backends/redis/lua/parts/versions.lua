-- The rules of versions: what a reader is told of a resource, and what a writer that rests on it must find unchanged.
--
-- The version of a resource is the fence of the last call that had it alone and may have had an effect. It is kept from
-- when somebody first asks for it: that reader's own fence stands for all calls before. A version that nobody has changed
-- for long may be forgotten; whoever saw it before then has to read again.
--
-- r<resource>  has the version (leases.lua)
-- v<resource>  who gave it that: a JSON array of agent, tool, thread, key and date; none where it was read first

-- Tells the versions of what a lease holds, name and version in turn; what has none gets the fence of the lease.
function versions.told(ask, fence)
  local found = {}
  for _, want in ipairs(ask.wants) do
    local name = requests.name_of(want)
    local row = leases.row(name)
    if not row.version then
      row.version = exactly(fence)
      leases.put_row(name, row)
      records.note_age('\0' .. name, now)
    end
    found[#found + 1] = name
    found[#found + 1] = row.version
  end
  return found
end

local function change_of(ask, name)
  local current, seen = leases.row(name).version, ask.seen[name]
  local kept = (not seen or current ~= seen) and fields.read('v' .. name)
  local by = kept and cjson.decode(kept) or {'', '', '', '', '0'}
  -- A call that is run again, since nobody knows how it ended or it waited for a human, is not stale by its own doing.
  local is_own = ask.key ~= '' and by[4] == ask.key
  if seen and current and (current == seen or is_own) then return nil end
  return {name, seen or '', current or '', by[1], by[2], by[3], by[5]}
end

-- Compares what a request has seen with what is; gives its answer, nil where it may go on, or does not ask.
function versions.staleness(ask)
  if not ask.seen then return nil end
  local answer, names, changes = {'stale'}, {}, {}
  for _, want in ipairs(ask.wants) do
    local change = change_of(ask, requests.name_of(want))
    if change then
      for _, part in ipairs(change) do answer[#answer + 1] = part end
      names[#names + 1] = change[1]
      changes[#changes + 1] = format(
        '{"resource":%s,"seen":%s,"current":%s,"agent":%s,"tool":%s,"thread":%s,"at":%s}', text(change[1]),
        change[2] ~= '' and change[2] or 'null', change[3] ~= '' and change[3] or 'null', text(change[4]), text(change[5]),
        text(change[6]), change[7]
      )
    end
  end
  if #names == 0 then return nil end
  if ask.unheard and log.was_told('call.stale', ask.owner) then return answer end
  local data = '"tool":' .. text(ask.tool) .. ',"waited":' .. seconds(ask.waited)
  log.tell('call.stale', ask, table.concat(names, '\n'), 0, data .. ',"changes":[' .. table.concat(changes, ',') .. ']')
  return answer
end

-- Gives a resource a new version: a call may have changed it. about: its agent, tool, thread and key.
local function move_one(name, about, fence)
  local row = leases.row(name)
  if not row.version then return end
  -- A call inside it, or a reader that it was not in the way of, may have come after its fence.
  row.version = exactly(fence > tonumber(row.version) and fence or log.next_cursor())
  leases.put_row(name, row)
  fields.write('v' .. name, text({about.agent, about.tool, about.thread, about.key, precisely(now)}))
end

-- Gives what a lease had alone a new version.
function versions.move(lease)
  for _, want in ipairs(lease.ask.wants) do
    if not requests.is_shared(want) then move_one(requests.name_of(want), lease.ask, lease.fence) end
  end
end

-- The same for names with a line for each.
function versions.move_all(names, about, fence)
  for name in string.gmatch(names, '[^\n]+') do move_one(name, about, fence) end
end

-- Forgets the version of a resource that did not change since a date; whoever saw it has to read again.
function versions.retire(name, date)
  local row = leases.row(name)
  if not row.version then return end
  if tonumber(row.version) > date * 1000000 then
    records.note_age('\0' .. name, now)
  else
    row.version = nil
    leases.put_row(name, row)
    fields.write('v' .. name, false)
  end
end
