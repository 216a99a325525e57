-- Leases, and who holds what.
--
-- l<owner>     fence, expires, since, seen, claimed, attempt, suspected, wants, and of the request what is kept
-- r<resource>  how many wait for it, how many share it, and the owners that hold it alone (more than one where calls
--              are nested)

local leases = {}

-- Tells whether a lease has expired. An end that is further away than it can be was written under another clock.
local function is_over(lease)
  return not (ticks < lease.expires and lease.expires <= ticks + max(lease.ask.ttl, CLAIM_WITHIN) + 1)
end

local function lease_of(owner)
  local lease = leases[owner]
  if lease == nil then
    local packed = read('l' .. owner)
    lease = false
    if packed then
      local row = unpacked(packed)
      lease = {
        fence = row[1], expires = row[2], since = row[3], seen = row[4], claimed = row[5], attempt = row[6],
        suspected = row[7], wants = row[8], ask = request_of(owner, row[8], row, 9),
      }
    end
    leases[owner] = lease
  end
  return lease
end

local function put_lease(lease)
  local owner = lease.ask.owner
  leases[owner] = lease
  write('l' .. owner, pack({
    lease.fence, lease.expires, lease.since, lease.seen, lease.claimed, lease.attempt, lease.suspected, lease.wants,
    kept(lease.ask),
  }))
  call('ZADD', ENDS, lease.expires, 'l' .. owner)
end

local function row_of(name)
  local packed = read('r' .. name)
  return packed and unpacked(packed) or {0, 0}
end

local function put_row(name, row)
  write('r' .. name, (row[1] > 0 or row[2] > 0 or row[3]) and pack(row))
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
