-- Leases, and who holds what.
--
-- l<owner>     fence, expires, since, seen, claimed (1 or 0), attempt, suspected (1 or 0), separated by spaces; in a second
--              line what is kept of the request
-- r<resource>  how many wait for it, how many share it, and the owners that hold it alone (more than one where calls
--              are nested), separated by spaces

local leases = {}

local function is_over(lease) return ticks >= lease.expires end

local function put_lease(lease)
  local owner = lease.ask.owner
  leases[owner] = lease
  write('l' .. owner, format(
    '%.0f %.17g %.17g %.17g %d %d %d\n', lease.fence, lease.expires, lease.since, lease.seen, lease.claimed and 1 or 0,
    lease.attempt, lease.suspected and 1 or 0
  ) .. lease.ask.kept)
  call('ZADD', ENDS, lease.expires, 'l' .. owner)
end

-- A server whose clock was set back has leases that end later than they can. Their holders may well live, so nobody gets
-- what they hold; but they have no more than their time from now on.
local function anchored(lease)
  if lease.expires > ticks + max(lease.ask.ttl, CLAIM_WITHIN) + 1 then
    lease.expires = ticks + lease.ask.ttl
    put_lease(lease)
  end
  return lease
end

local function lease_of(owner)
  local lease = leases[owner]
  if lease == nil then
    local kept = read('l' .. owner)
    lease = false
    if kept then
      local fence, expires, since, seen, claimed, attempt, suspected, request =
        string.match(kept, '^(%S+) (%S+) (%S+) (%S+) (%d) (%d+) (%d)\n(.*)$')
      local ask = request_of(owner, request)
      lease = {
        fence = tonumber(fence), expires = tonumber(expires), since = tonumber(since), seen = tonumber(seen),
        claimed = claimed == '1', attempt = tonumber(attempt), suspected = suspected == '1', wants = all_wants(ask),
        ask = ask,
      }
    end
    leases[owner] = lease and anchored(lease)
  end
  return leases[owner]
end

local function row_of(name)
  local row, kept = {}, read('r' .. name)
  if not kept then return {0, 0} end
  for word in string.gmatch(kept, '%S+') do row[#row + 1] = word end
  row[1], row[2] = tonumber(row[1]), tonumber(row[2])
  return row
end

local function put_row(name, row)
  write('r' .. name, (row[1] > 0 or row[2] > 0 or row[3]) and table.concat(row, ' '))
end

local function take(lease)
  for _, want in ipairs(lease.wants) do
    local name = name_of(want)
    local row = row_of(name)
    if is_shared(want) then
      row[2] = row[2] + 1
      call('ZADD', INDEX, 0, 'h' .. name .. '\0' .. lease.ask.owner)
    else
      row[#row + 1] = lease.ask.owner
    end
    put_row(name, row)
  end
  if not lease.claimed then call('ZADD', INDEX, 0, 't' .. lease.ask.session .. '\0' .. lease.ask.owner) end
  put_lease(lease)
end

local function drop(lease)
  local owner = lease.ask.owner
  for _, want in ipairs(lease.wants) do
    local name = name_of(want)
    local row = row_of(name)
    if is_shared(want) then
      row[2] = row[2] - 1
      call('ZREM', INDEX, 'h' .. name .. '\0' .. owner)
    else
      for i = 3, #row do
        if row[i] == owner then
          table.remove(row, i)
          break
        end
      end
    end
    put_row(name, row)
  end
  if not lease.claimed then call('ZREM', INDEX, 't' .. lease.ask.session .. '\0' .. owner) end
  leases[owner] = false
  write('l' .. owner, false)
  call('ZREM', ENDS, 'l' .. owner)
end
