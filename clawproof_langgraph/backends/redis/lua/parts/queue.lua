-- Waiters. A place is a digit and a ticket of sixteen digits: 0 for a nested request, which goes before all that are
-- not, and 1 for any other. Tickets grow, and are not before the date in µs.
--
-- w<owner>  place and arrived, separated by a space; in a second line what is kept of the request

queue.BEFORE_ORDINARY, queue.LAST_PLACE = ORDINARY, '2'

function queue.of(owner)
  local kept = fields.read('w' .. owner)
  if not kept then return false end
  local place, arrived, request = string.match(kept, '^(%S+) (%S+)\n(.*)$')
  local ask = requests.of(owner, request)
  return {place = place, arrived = tonumber(arrived), wants = requests.all_wants(ask), ask = ask}
end

local function member(kind, name, waiter)
  return kind .. name .. '\0' .. waiter.place .. '\0' .. waiter.ask.owner
end

local function place_in(found, name)
  return sub(found, #name + 3, #name + 19)
end

function queue.owner_in(found, name)
  return sub(found, #name + 21)
end

local function put_waiter(waiter)
  local owner = waiter.ask.owner
  fields.write('w' .. owner, waiter.place .. ' ' .. precisely(waiter.arrived) .. '\n' .. waiter.ask.kept)
  local members = {0, 'm' .. waiter.ask.session .. '\0' .. owner}
  for _, want in ipairs(waiter.wants) do
    local name = requests.name_of(want)
    local row = leases.row(name)
    row[1] = row[1] + 1
    leases.put_row(name, row)
    members[#members + 1] = 0
    members[#members + 1] = member('q', name, waiter)
    if not requests.is_shared(want) then
      members[#members + 1] = 0
      members[#members + 1] = member('x', name, waiter)
    end
  end
  fields.in_batches('ZADD', INDEX, members, 2000)
end

function queue.drop(waiter)
  local owner = waiter.ask.owner
  fields.write('w' .. owner, false)
  local members = {'m' .. waiter.ask.session .. '\0' .. owner}
  for _, want in ipairs(waiter.wants) do
    local name = requests.name_of(want)
    local row = leases.row(name)
    row[1] = row[1] - 1
    leases.put_row(name, row)
    members[#members + 1] = member('q', name, waiter)
    if not requests.is_shared(want) then members[#members + 1] = member('x', name, waiter) end
  end
  fields.in_batches('ZREM', INDEX, members, 2000)
end

-- the first waiter before a place that is in conflict with one of these wants, and the resource
function queue.ahead(wants, place, first_on)
  for _, want in ipairs(wants) do
    local name = requests.name_of(want)
    if name ~= first_on and leases.row(name)[1] > 0 then
      local prefix = (requests.is_shared(want) and 'x' or 'q') .. name .. '\0'
      local found = fields.range(prefix, nil, 1)[1]
      if found and place_in(found, name) < place then return name, queue.of(queue.owner_in(found, name)) end
    end
  end
end

-- of those that wait in a class: what its places are told apart by
local function last_ticket(wants, class)
  local last = 0
  for _, want in ipairs(wants) do
    local name = requests.name_of(want)
    if leases.row(name)[1] > 0 then
      local prefix = 'q' .. name .. '\0' .. class
      local found = call('ZREVRANGEBYLEX', INDEX, '(' .. prefix .. '\255', '[' .. prefix, 'LIMIT', 0, 1)[1]
      if found then last = max(last, tonumber(sub(place_in(found, name), 2))) end
    end
  end
  return last
end

local function alive_until(session)
  return tonumber(fields.read('s' .. session) or 0)
end

function queue.is_alive(session)
  local until_then = alive_until(session)
  return ticks < until_then and until_then <= ticks + WAITER_LIFE + 1
end

function queue.show_life(session)
  local short = ticks + WAITER_LIFE - alive_until(session)
  if short >= 0 and short <= LIFE_STEP then return end
  fields.write('s' .. session, precisely(ticks + WAITER_LIFE))
  call('ZADD', ENDS, ticks + WAITER_LIFE, 's' .. session)
end

function queue.enqueue(ask, wants)
  local class = ask.ancestors ~= '' and NESTED or ORDINARY
  local place = class .. format('%016.0f', max(last_ticket(wants, class) + 1, floor(now * 1000000)))
  put_waiter({place = place, arrived = ticks, wants = wants, ask = ask})
  queue.show_life(ask.session)
end
