-- One atomic step over a namespace: its keys, its time, and what lives in it. What a step changes of the hash `state` is
-- written in one go at its end.
--
-- KEYS  the same for each command, all in one hash slot
--   1 state  hash    c                    the clock of the log (log.lua)
--                    r<resource>          who holds it and how many wait for it, and its version (leases.lua)
--                    v<resource>          who gave it that version (versions.lua)
--                    l<owner>             a lease (leases.lua)
--                    w<owner>             a waiter (queue.lua)
--                    s<session>           until when its waiters count as alive
--                    k<agent>             an agent that is stopped: a JSON array of reason, by, at
--                    d<key>               what is known of a call (records.lua)
--                    u<scope>             how many calls of a scope may have had their effect
--                    p<name>, t           how far the log was read under a name; was trimmed (subscribers.lua)
--   2 index  zset    all scores 0, in the order of the bytes; \0 separates, places sort as text
--                    q<resource> <place> <owner>      waiters
--                    x<resource> <place> <owner>      those of them that want it alone
--                    h<resource> <owner>              holders that share it
--                    m<session> <owner>               waiters of a session
--                    t<session> <owner>               grants that are handed over and not claimed
--                    u<scope> <first_at> <key>        calls that may have had their effect
--                    k<agent>                         agents that are stopped
--                    p<name>                          subscriptions
--   3 ends   zset    l<owner>, s<session> by the time at which they end
--   4 ages   list    when a record was changed, a space, and its key, as it happened (records.lua); the same of a version
--                    that was asked for, with \0 and its resource for the key
--   5 log    stream  one entry for each step that has events (log.lua)
-- None of them expires: a lease that went away with its time would leave no doubt behind. What is over is swept.
--
-- ARGV  1 the date and 2 the ticks, in seconds, for tests; empty: the server's clock.  3 what the names of bells begin with.

local STATE, INDEX, ENDS, AGES, LOG = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local call, sub, format, floor, max, min = redis.call, string.sub, string.format, math.floor, math.max, math.min
local CLAIM_WITHIN, WAITER_LIFE, LIFE_STEP = 1, 3, 0.25
local SCOPE, KEY = '\244\143\191\190', '\244\143\191\191' -- what the names of scopes and keys begin with (requests.lua)
local NESTED, ORDINARY = '0', '1' -- what the places of those who wait begin with

-- Lets a step write when the memory is full: a script may go on with what has begun, and removing may always begin. What
-- keeps, ends and frees needs that; what begins does not.
local function write_though_full() call('ZREM', ENDS, '') end

local now, ticks = tonumber(ARGV[1]), tonumber(ARGV[2])
if not now then
  local time = call('TIME')
  now = time[1] + time[2] / 1000000
  ticks = now
end

local function exactly(number) return format('%.0f', number) end
local function precisely(number) return format('%.17g', number) end
local function seconds(number) return format('%.6f', number) end
local function text(value) return cjson.encode(value) end
