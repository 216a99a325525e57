-- The rules of records: what is known of a call, and what it means for a request that turns out to be that call.
--
-- done, rejected      answered with what is stored
-- failed, suspended   free to run again
-- failed, touched     the same as long as the request's policy lets a call in doubt run again; then it is in doubt
-- in_doubt            run again or held, as the request's policy says; a further run that tells only of itself, because
--                     nothing happened in it or it waits for a human, leaves the doubt as it was

judging.EXPIRED = 'the lease expired'
judging.EVENT_OF = {
  done = 'call.done', failed = 'call.failed', rejected = 'call.failed', suspended = 'call.suspended',
  in_doubt = 'call.in_doubt',
}

function judging.is_free(state) return state == 'failed' or state == 'suspended' end

-- Tells of an answer that takes the place of a grant. It leaves nothing behind but its event, by which it is known again
-- if the reply to it was lost.
local function tell_answer(kind, ask, data)
  if ask.unheard and log.was_told(kind, ask.owner) then return end
  log.tell(kind, ask, requests.names_of(ask), 0, data)
end

function judging.deny(ask, reason)
  local data = '"reason":' .. text(reason) .. ',"tool":' .. text(ask.tool) .. ',"waited":' .. seconds(ask.waited)
  tell_answer('lock.denied', ask, data)
end

-- Tells whether the call of a key is being run, for the first time or again.
function judging.is_running(key)
  local row = leases.row(KEY .. key)
  for i = 3, #row do
    local lease = leases.of(row[i])
    if lease and lease.claimed and not leases.is_over(lease) then return true end
  end
  return false
end

-- Lists about which executions of a call a human was asked in a task, in order, as texts.
function judging.asked_in(task, record)
  local fences = {}
  for i = 1, #record.asked, 2 do
    if record.asked[i] == task then fences[#fences + 1] = record.asked[i + 1] end
  end
  return table.concat(fences, ' ')
end

-- Tells whether two calls came out of one place as different members of it: both are meant.
local function are_apart(one, other)
  if one == '' or other == '' then return false end
  local members = {}
  for group, name in string.gmatch(one, '(%S+):(%S+)') do members[group] = name end
  for group, name in string.gmatch(other, '(%S+):(%S+)') do
    if members[group] and members[group] ~= name then return true end
  end
  return false
end

local function hold(ask, record)
  if record.state == 'failed' then -- until now, it could have been run again
    records.put(records.changed(record, {state = 'in_doubt', updated_at = now}), record)
    local why = '"tool":' .. text(record.tool) .. ',"reason":' .. text(record.reason) .. ',"attempt":' .. record.attempt
    log.tell('call.in_doubt', ask, record.resources, record.fence, why)
  end
  judging.deny(ask, 'in doubt')
  return {'held', record.key, record.tool, exactly(record.fence), judging.asked_in(ask.task, record)}
end

local function judge_record(ask, record)
  if record.fingerprint ~= ask.fingerprint then
    judging.deny(ask, 'other arguments under the same key')
    return {'mismatch', ask.key, ask.tool}
  end
  if record.state == 'done' or record.state == 'rejected' then
    local data = '"tool":' .. text(ask.tool) .. ',"waited":' .. seconds(ask.waited)
    tell_answer('call.replayed', ask, data)
    local rejected = record.state == 'rejected' and 1 or 0
    return {'replay', record.key, record.result, rejected, judging.asked_in(ask.task, record), exactly(record.fence)}
  end
  if record.state ~= 'suspended' and record.touched then
    local late = ask.rerun_within == 0 or now - record.first_at > ask.rerun_within
    if late and not judging.is_running(record.key) then return hold(ask, record) end
  end
end

-- Says whether a request may be granted: the answer if not, else the request, perhaps under the key that it adopts, its
-- resources, and its record.
function judging.judge(ask)
  if ask.agent ~= '' then
    local flag = fields.read('k' .. ask.agent)
    if flag then
      judging.deny(ask, 'killed')
      local row = cjson.decode(flag)
      return {'killed', ask.agent, row[1], row[2], row[3]}
    end
  end
  if ask.key == '' then return nil, ask, requests.all_wants(ask), false end
  local record = records.of(ask.key)
  if record and record.same_as ~= '' then
    ask = requests.under_key(ask, record.same_as)
    record = records.of(ask.key)
  elseif not record and ask.scope ~= '' then
    record = records.find_unsettled(ask.scope, function(each)
      return not judging.is_running(each.key) and not are_apart(each.lineage, ask.lineage)
    end)
    if record then -- it is that call, whatever its own key, and stays it: when it is asked again, and when it is resolved
      local alias = {
        key = ask.key, state = 'done', touched = false, owner = '', same_as = record.key, asked = {}, updated_at = now,
      }
      records.put(records.changed(record, alias), false)
      ask = requests.under_key(ask, record.key)
    end
  end
  local answer = record and judge_record(ask, record) or nil
  return answer, ask, requests.all_wants(ask), record
end

function judging.earlier_of(lease)
  return lease.attempt > 0 and records.of(lease.ask.key)
end

function judging.reason_before(earlier, attempt)
  local told = earlier.doubted_before and earlier.reason ~= judging.EXPIRED
  return told and earlier.reason or earlier.reason .. ', before run ' .. attempt
end

function judging.record_from(lease, earlier, state, outcome)
  local ask = lease.ask
  return {
    key = ask.key, state = state, agent = ask.agent, thread = ask.thread, tool = ask.tool, scope = ask.scope,
    fingerprint = ask.fingerprint, owner = ask.owner, fence = lease.fence, attempt = outcome.attempt,
    result = outcome.result, first_at = earlier and earlier.first_at or lease.fence / 1000000, updated_at = now,
    same_as = '', resources = outcome.touched and requests.names_of(ask) or '',
    reason = outcome.touched and outcome.reason or '', doubted_before = earlier and earlier.touched or false,
    touched = outcome.touched, asked = earlier and earlier.asked or {}, lineage = ask.lineage,
  }
end

-- the record of a call whose lease has expired
function judging.doubt_of(lease)
  local outcome = {attempt = lease.attempt + 1, result = false, touched = true, reason = judging.EXPIRED}
  return judging.record_from(lease, judging.earlier_of(lease), 'in_doubt', outcome)
end
