-- Says what became of a call in doubt.
--
-- parts: step fields log requests leases queue records versions judging granting
-- ARGV   4 key, 5 applied (1 or 0), 6 has_result (1 or 0), 7 result, 8 by, 9 owner (whose lease the call is under, where
--        it is looked into before it is run again), 10 fence (which execution the doubt is about; 0: whichever was last)
-- reply  resolved; unknown, key; done_otherwise, key; lease_ended, key; in_no_doubt, key, state (empty: it runs)

local key, applied, result, by, owner, fence =
  ARGV[4], ARGV[5] == '1', ARGV[6] == '1' and ARGV[7], ARGV[8], ARGV[9], tonumber(ARGV[10])

local alias = records.of(key)
if alias and alias.same_as ~= '' then key = alias.same_as end
granting.end_dead_run(key)
local record = records.of(key)
if not record then return granting.finish({'unknown', key}) end
local state = applied and 'done' or 'failed'
if record.state == state and not record.touched then
  if applied and result and result ~= record.result then return granting.finish({'done_otherwise', key}) end
  return granting.finish({'resolved'})
end

-- whoever resolves a call may hold its lease, and so keep everybody else from running it
if owner ~= '' then
  local lease = leases.of(owner)
  local looks_into = lease and lease.claimed and lease.ask.key == key
  -- what is in doubt by now may be an execution that it did not look at
  if not looks_into then return granting.finish({'lease_ended', key}) end
end
if not record.touched or (owner == '' and judging.is_running(key)) or (fence > 0 and fence ~= record.fence) then
  return granting.finish({'in_no_doubt', key, record.touched and '' or record.state})
end
-- Without its owner, a late settle can no longer overrule what was resolved.
local known = {state = state, result = result, owner = '', touched = false, updated_at = now}
records.put(records.changed(record, known), record)
granting.hand_on()
local about = {agent = record.agent, thread = record.thread, key = record.key}
local data = '"applied":' .. tostring(applied) .. ',"by":' .. text(by) .. ',"tool":' .. text(record.tool)
log.tell('call.resolved', about, '', record.fence, data)
return granting.finish({'resolved'})
