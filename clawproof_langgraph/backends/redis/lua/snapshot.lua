-- Reads the namespace at one instant; what has expired is shown as it will be swept.
--
-- parts: step fields log requests leases queue records judging
-- reply  leases: owner, agent, thread, tool, key, fence, held, remaining, wants (a line for each), ancestors
--        waiters: owner, agent, thread, tool, place, waited, wants, key, ancestors
--        calls in doubt: key, agent, thread, tool, attempt, since, resources (a line for each), reason
--        stopped agents: agent, reason, by, at

-- whose second letter on of the members of a kind is wanted, each with its field of the state read ahead
local function listed(members, kind, first)
  local found, wanted = {}, {}
  for _, member in ipairs(members) do
    if sub(member, 1, 1) == kind then
      found[#found + 1] = first(member)
      wanted[#wanted + 1] = kind .. found[#found]
    end
  end
  if #wanted > 0 then fields.read_ahead(wanted) end
  return found
end

local function all(kind) return call('ZRANGEBYLEX', INDEX, '[' .. kind, '(' .. kind .. '\255') end

local owners = listed(call('ZRANGE', ENDS, 0, -1), 'l', function(member) return sub(member, 2) end)
local queued = {}
for i, member in ipairs(all('m')) do queued[i] = 'w' .. string.match(member, '%z(.*)$') end
queued = listed(queued, 'w', function(member) return sub(member, 2) end)
local killed = {}
for _, agent in ipairs(listed(all('k'), 'k', function(member) return sub(member, 2) end)) do
  local row = cjson.decode(fields.read('k' .. agent))
  killed[#killed + 1] = {agent, row[1], row[2], row[3]}
end

local shown, waiting, doubts, running, coming = {}, {}, {}, {}, {}

local function show_doubt(record)
  doubts[#doubts + 1] = {
    record.key, record.agent, record.thread, record.tool, record.attempt, precisely(record.updated_at), record.resources,
    record.reason,
  }
end

for _, owner in ipairs(owners) do
  local lease = leases.of(owner)
  local ask = lease.ask
  if lease.claimed and not leases.is_over(lease) then
    running[ask.key] = true
    shown[#shown + 1] = {
      owner, ask.agent, ask.thread, ask.tool, ask.key, exactly(lease.fence), precisely(ticks - lease.since),
      precisely(lease.expires - ticks), table.concat(ask.wants, '\n'), ask.ancestors,
    }
  elseif lease.claimed and ask.key ~= '' then
    coming[ask.key] = records.changed(judging.doubt_of(lease), {updated_at = now - max(ticks - lease.expires, 0)})
  end
end
for _, owner in ipairs(queued) do
  local waiter = queue.of(owner)
  local ask = waiter.ask
  if queue.is_alive(ask.session) then
    waiting[#waiting + 1] = {
      owner, ask.agent, ask.thread, ask.tool, waiter.place, precisely(ticks - waiter.arrived),
      table.concat(ask.wants, '\n'), ask.key, ask.ancestors,
    }
  end
end
for _, each in ipairs(all('u')) do
  local key = records.key_of_unsettled(each)
  local record = records.of(key)
  if record and record.state == 'in_doubt' and not running[key] then
    show_doubt(coming[key] or record)
    coming[key] = nil
  end
end
for _, record in pairs(coming) do show_doubt(record) end
fields.write_changes()
return {shown, waiting, doubts, killed}
