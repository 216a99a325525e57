-- Notes that a human is asked what became of a call in doubt.
--
-- parts: step once fields log requests leases queue records judging
-- ARGV   4 key, 5 task, 6 fence (0 where an answer to something else was taken in its place)

local key, task, fence = ARGV[4], ARGV[5], tonumber(ARGV[6])
local record = records.of(key)
if record and record.touched then -- else somebody has found out meanwhile
  local asked = {}
  for i, each in ipairs(record.asked) do asked[i] = each end
  asked[#asked + 1] = task
  asked[#asked + 1] = exactly(fence)
  records.put(records.changed(record, {asked = asked}), record)
  if fence > 0 then
    local about = {agent = record.agent, thread = record.thread, key = record.key}
    log.tell('call.asked', about, record.resources, record.fence, '"tool":' .. text(record.tool))
  end
end
log.write()
fields.write_changes()
return once.said('asked')
