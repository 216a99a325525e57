-- Reads the namespace at one instant; what has expired is shown as it will be swept.
--
-- parts: step log requests leases queue records judging
-- reply  leases: owner, agent, thread, tool, key, fence, held, remaining, wants (a line for each)
--        waiters: owner, agent, thread, tool, place, waited, wants
--        calls in doubt: key, agent, thread, tool, attempt, since, resources (a line for each), reason
--        stopped agents: agent, reason, by, at

local function precisely(number) return format('%.17g', number) end

local live = call('HGETALL', LIVE)
local owners, queued, killed = {}, {}, {}
for i = 1, #live, 2 do
  local field, kind = live[i], sub(live[i], 1, 1)
  fields[field] = live[i + 1]
  if kind == 'l' then owners[#owners + 1] = sub(field, 2) end
  if kind == 'w' then queued[#queued + 1] = sub(field, 2) end
  if kind == 'k' then
    local row = unpacked(live[i + 1])
    killed[#killed + 1] = {sub(field, 2), row[1], row[2], precisely(row[3])}
  end
end

local shown, waiting, doubts, running, coming = {}, {}, {}, {}, {}

local function show_doubt(record)
  doubts[#doubts + 1] = {
    record.key, record.agent, record.thread, record.tool, record.attempt, precisely(record.updated_at), record.resources,
    record.reason,
  }
end

for _, owner in ipairs(owners) do
  local lease = lease_of(owner)
  local ask = lease.ask
  if lease.claimed and not is_over(lease) then
    running[ask.key] = true
    shown[#shown + 1] = {
      owner, ask.agent, ask.thread, ask.tool, ask.key, exactly(lease.fence), precisely(ticks - lease.since),
      precisely(lease.expires - ticks), table.concat(ask.wants, '\n'),
    }
  elseif lease.claimed and ask.key ~= '' then
    coming[ask.key] = changed_record(doubt_of(lease), {updated_at = now - max(ticks - lease.expires, 0)})
  end
end
for _, owner in ipairs(queued) do
  local waiter = waiter_of(owner)
  local ask = waiter.ask
  if is_alive(ask.session) then
    waiting[#waiting + 1] = {
      owner, ask.agent, ask.thread, ask.tool, waiter.place, precisely(ticks - waiter.arrived),
      table.concat(ask.wants, '\n'),
    }
  end
end
for _, each in ipairs(call('ZRANGEBYLEX', INDEX, '[u', '(v')) do
  local key = key_of_unsettled(each)
  local record = record_of(key)
  if record and record.state == 'in_doubt' and not running[key] then
    show_doubt(coming[key] or record)
    coming[key] = nil
  end
end
for _, record in pairs(coming) do show_doubt(record) end
return {shown, waiting, doubts, killed}
