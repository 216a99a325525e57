-- Appends an event that belongs to no other command.
--
-- parts: step fields log
-- ARGV   4 type, 5 agent, 6 thread, 7 call, 8 key, 9 resources (a line for each), 10 fence, 11 data (a JSON object without
--        its braces), 12 repeated (1: it was sent before, and the reply was lost; or 0)
-- reply  its cursor

local about = {agent = ARGV[5], thread = ARGV[6], owner = ARGV[7], key = ARGV[8]}
local PATIENCE = 60 -- seconds after which nobody sends it again

-- Its cursor, if it is in the log, all but the date the same. What has a call is not told twice in the same words.
local function told_before(entry)
  local first, last = string.match(entry, '^(.*",")[^"]*(",{.*)$')
  local from, to = exactly(max(floor((now - PATIENCE) * 1000000), 0)), '+'
  while true do
    local found = call('XREVRANGE', LOG, to, from, 'COUNT', 500)
    for _, each in ipairs(found) do
      local other = each[2][2]
      if #each[2] == 2 and sub(other, 1, #first) == first and sub(other, -#last) == last then
        return string.match(each[1], '%d+')
      end
    end
    if #found < 500 then return false end
    to = '(' .. found[#found][1]
  end
end

local entry = log.tell(ARGV[4], about, ARGV[9], tonumber(ARGV[10]), ARGV[11])
local before = ARGV[12] == '1' and about.owner ~= '' and told_before(entry)
if before then return before end
log.write()
fields.write_changes()
return exactly((log.read_clock()))
