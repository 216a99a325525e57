-- How a call came out, as `settle` carries it, and what becomes of its record.

-- ARGV from `at`: owner, fence, state (empty for a plain lock), key, has_result (1 or 0), result, touched, is_open,
-- attempt, error, by, facts (a JSON object without its braces, after a comma if there are any), unheard (1 where the
-- reply was lost, else 0), what `settle_fast` needs
-- (agent, thread, owner, key and resources as JSON, empty if not known; the second line of the record; the tool as JSON;
-- whether it has locks; how many fields of the state it holds; those), and of each domain event its type and its data
function outcomes.from_arguments(at)
  local outcome = {
    owner = ARGV[at], fence = tonumber(ARGV[at + 1]), state = ARGV[at + 2], key = ARGV[at + 3],
    result = ARGV[at + 4] == '1' and ARGV[at + 5], touched = ARGV[at + 6] == '1', is_open = ARGV[at + 7] == '1',
    attempt = tonumber(ARGV[at + 8]), error = ARGV[at + 9], by = ARGV[at + 10], facts = ARGV[at + 11],
    unheard = ARGV[at + 12] == '1', emits = {},
  }
  if outcome.unheard then write_though_full() end
  for i = at + 18 + ARGV[at + 17], #ARGV, 2 do outcome.emits[#outcome.emits + 1] = {ARGV[i], ARGV[i + 1]} end
  return outcome
end

local function tell_outcome(ask, outcome, state, names, data)
  data = data .. ',"tool":' .. text(ask.tool) .. ',"attempt":' .. outcome.attempt
  data = data .. outcome.facts
  if outcome.error ~= '' then
    data = data .. ',"error":' .. text(outcome.error) .. ',"touched":' .. tostring(outcome.touched)
  end
  if outcome.by ~= '' then data = data .. ',"applied":true,"by":' .. text(outcome.by) end
  log.tell(outcome.by ~= '' and 'call.resolved' or judging.EVENT_OF[state], ask, names, outcome.fence, data)
  for _, event in ipairs(outcome.emits) do
    local version = '"version":' .. exactly(outcome.fence)
    log.tell(event[1], ask, names, outcome.fence, event[2] ~= '' and event[2] .. ',' .. version or version)
  end
end

function outcomes.record(lease, outcome)
  local ask, state, earlier = lease.ask, outcome.state, judging.earlier_of(lease)
  local function known(state_now, touched, reason)
    local told = {attempt = outcome.attempt, result = outcome.result, touched = touched, reason = reason}
    records.put(judging.record_from(lease, earlier, state_now, told), earlier)
  end
  if ask.key ~= '' and judging.is_free(state) and earlier and earlier.touched then
    known(earlier.state, true, judging.reason_before(earlier, outcome.attempt))
  elseif ask.key ~= '' and (state ~= 'failed' or outcome.is_open or (earlier and #earlier.asked > 0)) then
    known(state, state == 'in_doubt' or (state == 'failed' and outcome.is_open), outcome.error)
  elseif earlier then
    records.drop(earlier)
  end
  tell_outcome(ask, outcome, state, requests.names_of(ask), '"held":' .. seconds(ticks - lease.since))
end

-- Records the outcome of a call whose lease has ended, unless somebody knows better by now.
function outcomes.settle_late(outcome)
  local record = outcome.key ~= '' and records.of(outcome.key)
  if not record and outcome.unheard then
    -- Nothing is left of a plain lock, or of a call in which nothing happened, whose end was told before but its event.
    local kind = outcome.state == '' and 'lock.released' or judging.EVENT_OF[outcome.state]
    if log.was_told(kind, outcome.owner) then return 'settled' end
  end
  if not record or record.owner ~= outcome.owner or outcome.state == '' then return 'gone' end
  local state = judging.is_free(outcome.state) and record.doubted_before and record.state or outcome.state
  local unheard = record.state == 'in_doubt' and record.reason == judging.EXPIRED
  if record.state == state and not unheard then return 'settled' end -- the reply to an earlier settle was lost
  if record.state ~= 'in_doubt' or judging.is_running(record.key) then return 'gone' end
  local touched = state == 'in_doubt' or (state == 'failed' and outcome.is_open)
  if state == 'failed' and not (touched or #record.asked > 0) then
    records.drop(record)
  else
    local known = {state = state, result = outcome.result, reason = outcome.error, touched = touched, updated_at = now}
    records.put(records.changed(record, known), record)
  end
  local about = {owner = outcome.owner, agent = record.agent, thread = record.thread, tool = record.tool, key = record.key}
  -- since its lease expired, it may have changed them once more
  if outcome.touched then versions.move_all(record.resources, about, outcome.fence) end
  if outcome.state ~= 'in_doubt' then -- that was told when the lease expired
    tell_outcome(about, outcome, outcome.state, record.resources, '"late":true')
  end
  return 'late'
end
