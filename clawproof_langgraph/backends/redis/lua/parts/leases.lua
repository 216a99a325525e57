-- Leases, and who holds what.
--
-- l<owner>     fence, expires, since (until it is claimed, when its owner got in line), seen, claimed (1 or 0), attempt,
--              suspected (1 or 0), separated by spaces; in a second line what is kept of the request
-- r<resource>  how many wait for it, how many share it, the owners that hold it alone (more than one where calls are
--              nested), and where somebody has asked for its version, = and that, separated by spaces

local known = {}

function leases.is_over(lease) return ticks >= lease.expires end

function leases.put(lease)
  local owner = lease.ask.owner
  known[owner] = lease
  fields.write('l' .. owner, format(
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
    leases.put(lease)
  end
  return lease
end

function leases.of(owner)
  local lease = known[owner]
  if lease == nil then
    local kept = fields.read('l' .. owner)
    lease = false
    if kept then
      local fence, expires, since, seen, claimed, attempt, suspected, request =
        string.match(kept, '^(%S+) (%S+) (%S+) (%S+) (%d) (%d+) (%d)\n(.*)$')
      local ask = requests.of(owner, request)
      lease = {
        fence = tonumber(fence), expires = tonumber(expires), since = tonumber(since), seen = tonumber(seen),
        claimed = claimed == '1', attempt = tonumber(attempt), suspected = suspected == '1', wants = requests.all_wants(ask),
        ask = ask,
      }
    end
    known[owner] = lease and anchored(lease)
  end
  return known[owner]
end

function leases.row(name)
  local row, kept = {}, fields.read('r' .. name)
  if not kept then return {0, 0} end
  for word in string.gmatch(kept, '%S+') do
    if sub(word, 1, 1) == '=' then row.version = sub(word, 2) else row[#row + 1] = word end
  end
  row[1], row[2] = tonumber(row[1]), tonumber(row[2])
  return row
end

function leases.put_row(name, row)
  local kept = (row.version or row[1] > 0 or row[2] > 0 or row[3]) and table.concat(row, ' ')
  fields.write('r' .. name, kept and row.version and kept .. ' =' .. row.version or kept)
end

function leases.take(lease)
  for _, want in ipairs(lease.wants) do
    local name = requests.name_of(want)
    local row = leases.row(name)
    if requests.is_shared(want) then
      row[2] = row[2] + 1
      call('ZADD', INDEX, 0, 'h' .. name .. '\0' .. lease.ask.owner)
    else
      row[#row + 1] = lease.ask.owner
    end
    leases.put_row(name, row)
  end
  if not lease.claimed then call('ZADD', INDEX, 0, 't' .. lease.ask.session .. '\0' .. lease.ask.owner) end
  leases.put(lease)
end

function leases.drop(lease)
  local owner = lease.ask.owner
  for _, want in ipairs(lease.wants) do
    local name = requests.name_of(want)
    local row = leases.row(name)
    if requests.is_shared(want) then
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
    leases.put_row(name, row)
  end
  if not lease.claimed then call('ZREM', INDEX, 't' .. lease.ask.session .. '\0' .. owner) end
  known[owner] = false
  fields.write('l' .. owner, false)
  call('ZREM', ENDS, 'l' .. owner)
end
