-- The rules of locks: who is in whose way, who is next, and what a lease's end means.
--
-- A request is granted when, on each of its resources, neither a holder nor an earlier waiter is in conflict. A nested
-- request is never blocked by the calls around it, and competes with holders only: a waiter may be waiting for its own
-- chain. A grant handed to a waiter is provisional until the waiter claims it.
--
-- An obstacle is what keeps a request from its grant: its resource, and a holder or an earlier waiter.

local STEP = 64   -- the most waiters of one resource that are woken in one step; each claim continues where it ended
local LOOK = 1024 -- the most that a step looks at, should nearly all of them wait for something else as well

local freed, rings = {}, {}

function granting.free(name) freed[#freed + 1] = name end

local function conflicting_holder(ask, owner, name, arrived)
  if owner == ask.owner or requests.is_ancestor(ask, owner) then return false end
  local lease = leases.of(owner)
  -- The scope keeps out the heir of a call that may have died. A holder that has shown life since the heir came is not
  -- its dead predecessor but a running sibling, and no reason to wait.
  if not lease or (requests.is_scope(name) and not leases.is_over(lease) and lease.seen > arrived) then return false end
  return lease
end

local function conflicting_reader(ask, name, arrived)
  local prefix, after = 'h' .. name .. '\0', nil
  while true do
    local found = fields.range(prefix, after, 8)
    for _, each in ipairs(found) do
      local lease = conflicting_holder(ask, sub(each, #prefix + 1), name, arrived)
      if lease then return lease end
    end
    if #found < 8 then return false end
    after = found[#found]
  end
end

-- place: of the request in the queue.  arrived: when it came.  first_on: where it is known to be the first waiter.
function granting.first_conflict(ask, wants, place, arrived, first_on)
  for _, want in ipairs(wants) do
    local name = requests.name_of(want)
    local row = leases.row(name)
    for i = 3, #row do
      local lease = conflicting_holder(ask, row[i], name, arrived)
      if lease then return {name = name, holder = lease} end
    end
    if row[2] > 0 and not requests.is_shared(want) then
      local lease = conflicting_reader(ask, name, arrived)
      if lease then return {name = name, holder = lease} end
    end
  end
  if ask.ancestors ~= '' then return nil end
  local name, waiter = queue.ahead(wants, place, first_on)
  return name and {name = name, waiter = waiter} or nil
end

function granting.release(lease)
  leases.drop(lease)
  for _, want in ipairs(lease.wants) do
    if leases.row(requests.name_of(want))[1] > 0 then granting.free(requests.name_of(want)) end
  end
end

-- Ends a lease whose holder has not renewed it: a claimed call is in doubt, an unclaimed one never happened.
function granting.expire(lease)
  granting.release(lease)
  if not lease.claimed then return end
  local ask = lease.ask
  local names = requests.names_of(ask)
  versions.move(lease)
  if names ~= '' then -- it may be noticed long after its end
    log.tell('lock.expired', ask, names, lease.fence, '"held":' .. seconds(lease.expires - lease.since))
  end
  if ask.key ~= '' then
    records.put(judging.doubt_of(lease), records.of(ask.key))
    local why = '"tool":' .. text(ask.tool) .. ',"reason":' .. text(judging.EXPIRED)
    log.tell('call.in_doubt', ask, names, lease.fence, why)
  end
end

-- Ends the run of a call whose lease has expired: nobody may overrule what it leaves behind without knowing it.
function granting.end_dead_run(key)
  if key == '' then return end
  local row = leases.row(KEY .. key)
  for i = 3, #row do
    local lease = leases.of(row[i])
    if lease and leases.is_over(lease) then granting.expire(lease) end
  end
end

function granting.leave_queue(waiter)
  queue.drop(waiter)
  for _, want in ipairs(waiter.wants) do granting.free(requests.name_of(want)) end
end

-- Ends an obstacle that has expired; tells whether it had.
function granting.end_if_dead(obstacle)
  if obstacle.holder and leases.is_over(obstacle.holder) then
    granting.expire(obstacle.holder)
    return true
  end
  if obstacle.waiter and not queue.is_alive(obstacle.waiter.ask.session) then
    granting.leave_queue(obstacle.waiter)
    return true
  end
  return false
end

function granting.granted(ask, lease, record)
  local doubt, asked = '0', ''
  if record then
    doubt, asked = exactly(record.touched and record.fence or 0), judging.asked_in(ask.task, record)
  end
  local answer = {'granted', ask.owner, exactly(lease.fence), lease.ask.key, lease.attempt, doubt, asked}
  for _, part in ipairs(ask.versions and versions.told(ask, lease.fence) or {}) do answer[#answer + 1] = part end
  answer[#answer + 1] = precisely(ticks)
  return answer
end

-- Says what lets others hold the same at the same time, so that whoever reads the log knows whom it kept apart.
local function beside_others(ask)
  local shared = {}
  for _, want in ipairs(ask.wants) do
    if requests.is_shared(want) then shared[#shared + 1] = requests.name_of(want) end
  end
  local told = #shared > 0 and ',"shared":' .. text(shared) or ''
  return ask.ancestors == '' and told or told .. ',"inside":' .. text(string.match(ask.ancestors, '%S+$'))
end

-- Gives a request its lease, claimed; `held`: the one that was handed over to it, if there is one.
function granting.grant(ask, wants, record, held)
  local attempt, fence = record and record.attempt or 0, log.next_cursor()
  local lease = {
    ask = ask, wants = wants, fence = fence, expires = ticks + ask.ttl, since = ticks, seen = ticks, claimed = true,
    attempt = attempt, suspected = false,
  }
  if held then
    call('ZREM', INDEX, 't' .. ask.session .. '\0' .. ask.owner)
    leases.put(lease)
  else
    leases.take(lease)
  end
  local names = requests.names_of(ask)
  local waited = '"waited":' .. seconds(ask.waited)
  if names ~= '' or ask.tool == '' then -- an entry in any case: the fence is its cursor
    log.tell('lock.acquired', ask, names, fence, waited .. beside_others(ask))
  end
  if ask.tool ~= '' then
    local own = '"tool":' .. text(ask.tool) .. ',"attempt":' .. attempt + 1 .. ',' .. waited
    log.tell('call.started', ask, names, fence, ask.data .. own)
  end
  return granting.granted(ask, lease, record)
end

-- The lease is put before the waiter goes: a key that has lost its last member is gone, and while the slot moves to another
-- node, a script cannot make it again.
local function hand_over(waiter)
  leases.take({
    ask = waiter.ask, wants = waiter.wants, fence = 0, expires = ticks + CLAIM_WITHIN, since = waiter.arrived, seen = ticks,
    claimed = false, attempt = 0, suspected = false,
  })
  queue.drop(waiter)
  rings[#rings + 1] = waiter.ask
end

local function is_next(waiter, first_on)
  while true do
    local obstacle = granting.first_conflict(waiter.ask, waiter.wants, waiter.place, waiter.arrived, first_on)
    if not obstacle then return true end
    if not granting.end_if_dead(obstacle) then return false end
  end
end

-- Hands a waiter its grant if its turn has come; tells whether nobody behind it can be next.
local function serve_one(waiter, name, is_first)
  if not queue.is_alive(waiter.ask.session) then
    granting.leave_queue(waiter)
    return false
  end
  local is_turn = is_next(waiter, is_first and name)
  if is_turn then hand_over(waiter) end
  for _, want in ipairs(waiter.wants) do
    if want == 'x' .. name then return is_turn or waiter.ask.ancestors == '' end
  end
  return false
end

local function serve(name)
  local prefix, after, looked_at, limit, woken = 'q' .. name .. '\0', nil, 0, 1, #rings
  while looked_at < LOOK and #rings < woken + STEP do
    if leases.row(name)[1] == 0 then return end
    local found, wanted = fields.range(prefix, after, limit), {}
    for i, each in ipairs(found) do wanted[i] = 'w' .. queue.owner_in(each, name) end
    if #wanted > 1 then fields.read_ahead(wanted) end
    for _, each in ipairs(found) do
      local waiter = queue.of(queue.owner_in(each, name))
      if waiter and serve_one(waiter, name, looked_at == 0) then return end
    end
    if #found < limit then return end
    after, looked_at, limit = found[#found], looked_at + #found, STEP
  end
end

-- Hands freed resources to the waiters whose turn has come, and wakes those.
function granting.hand_on()
  while #freed > 0 do serve(table.remove(freed)) end
end

-- Writes what the step has changed, and wakes those whose turn has come.
function granting.finish(reply)
  log.write()
  fields.write_changes()
  for _, ask in ipairs(rings) do
    if ask.bell ~= '' then
      -- While the slot moves to another node, a bell may be out of reach; the step has been made all the same.
      local bell = ARGV[3] .. ask.bell
      redis.pcall('RPUSH', bell, ask.owner)
      redis.pcall('EXPIRE', bell, 60)
    end
  end
  return reply
end

function granting.mark_suspected(lease)
  local ask, held = lease.ask, ticks - lease.since
  if lease.suspected or ask.expected == 0 or held <= 2 * ask.expected then return end
  lease.suspected = true
  local data = '"tool":' .. text(ask.tool) .. ',"held":' .. seconds(held) .. ',"expected":' .. precisely(ask.expected)
  log.tell('deadlock.suspected', ask, requests.names_of(lease.ask), lease.fence, data)
end
