-- One atomic step over a namespace: its keys, its time, and what lives in it. What a step changes of the hash `live` is
-- written in one go at its end.
--
-- KEYS  the same for each command, all in one hash slot
--   1 live      hash    c                    the cursor of the newest event, and how many are kept (log.lua)
--                       r<resource>          who holds it and how many wait for it (granting.lua)
--                       l<owner>             a lease (leases.lua)
--                       w<owner>             a waiter (queue.lua)
--                       s<session>           until when its waiters count as alive
--                       k<agent>             an agent that is stopped
--                       u<scope>             how many calls of a scope may have had their effect
--   2 index     zset    all scores 0, in the order of the bytes; \0 separates, places sort as text
--                       q<resource> <place> <owner>      waiters
--                       x<resource> <place> <owner>      those of them that want it alone
--                       h<resource> <owner>              holders that share it
--                       m<session> <owner>               waiters of a session
--                       t<session> <owner>               grants that are handed over and not claimed
--                       u<scope> <first_at> <key>        calls that may have had their effect
--   3 ends      zset    l<owner>, s<session> by the time at which they end
--   4 records   hash    key -> what is known of a call (records.lua)
--   5 ages      zset    key by the time at which its record was last changed
--   6 log       stream  one entry for each step that has events (log.lua)
-- None of them expires: a lease that went away with its time would leave no doubt behind. What is over is swept.
--
-- ARGV  1 the date and 2 the ticks, in seconds, for tests; empty: the server's clock.  3 what the names of bells begin with.

local LIVE, INDEX, ENDS, RECORDS, AGES, LOG = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local call, pack, unpacked = redis.call, cmsgpack.pack, cmsgpack.unpack
local sub, format, floor, max, min = string.sub, string.format, math.floor, math.max, math.min
local CLAIM_WITHIN, WAITER_LIFE = 1, 3

local now, ticks = tonumber(ARGV[1]), tonumber(ARGV[2])
if not now then
  local time = call('TIME')
  now = time[1] + time[2] / 1000000
  ticks = now
end

-- fields of `live`: as they were read or are to be written; false where there is none
local fields, changed = {}, {}

local function read(field)
  local value = fields[field]
  if value == nil then
    value = call('HGET', LIVE, field)
    fields[field] = value
  end
  return value
end

local function read_ahead(names)
  for first = 1, #names, 1000 do
    local found = call('HMGET', LIVE, unpack(names, first, min(first + 999, #names)))
    for i, value in ipairs(found) do
      if not changed[names[first + i - 1]] then fields[names[first + i - 1]] = value end
    end
  end
end

local function write(field, value)
  fields[field] = value
  changed[field] = true
end

local function in_batches(command, key, list, size)
  for first = 1, #list, size do
    call(command, key, unpack(list, first, min(first + size - 1, #list)))
  end
end

local function write_changes()
  local set, gone = {}, {}
  for field in pairs(changed) do
    local value = fields[field]
    if value then
      set[#set + 1] = field
      set[#set + 1] = value
    else
      gone[#gone + 1] = field
    end
  end
  in_batches('HSET', LIVE, set, 2000)
  in_batches('HDEL', LIVE, gone, 2000)
end

-- members of the index that begin with a text, after another member or from the first
local function range(prefix, after, limit)
  return call('ZRANGEBYLEX', INDEX, after and '(' .. after or '[' .. prefix, '(' .. prefix .. '\255', 'LIMIT', 0, limit)
end

local function exactly(number)
  return format('%.0f', number)
end

local function split(text, separator)
  local parts = {}
  for part in string.gmatch(text, '[^' .. separator .. ']+') do parts[#parts + 1] = part end
  return parts
end
