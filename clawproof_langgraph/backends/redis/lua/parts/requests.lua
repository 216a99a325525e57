-- A request as a command carries it, and the resources of it. The key and the scope of a call are two more exclusive
-- resources, whose names begin with noncharacters: users' names must not contain them, and they sort last.

local SCOPE, KEY = '\244\143\191\190', '\244\143\191\191'

local function is_scope(name) return sub(name, 1, 4) == SCOPE end
local function is_key(name) return sub(name, 1, 4) == KEY end
local function is_users(name) return not (is_scope(name) or is_key(name)) end

-- wants are kept as texts: x or s, and the resource
local function name_of(want) return sub(want, 2) end
local function is_shared(want) return sub(want, 1, 1) == 's' end

local function all_wants(ask)
  local wants = {}
  for i, want in ipairs(ask.wants) do wants[i] = want end
  if ask.scope ~= '' then wants[#wants + 1] = 'x' .. SCOPE .. ask.scope end
  if ask.key ~= '' then wants[#wants + 1] = 'x' .. KEY .. ask.key end
  return wants
end

local function users_wants(wants)
  local found = {}
  for _, want in ipairs(wants) do
    if is_users(name_of(want)) then found[#found + 1] = want end
  end
  return found
end

-- the names that a user knows, a line for each
local function names_of(wants)
  local names = {}
  for _, want in ipairs(wants) do
    local name = name_of(want)
    if is_users(name) then names[#names + 1] = name end
  end
  return table.concat(names, '\n')
end

-- ARGV from `at`: owner, session, ttl, agent, thread, tool, key, scope, fingerprint, rerun_within, ancestors (outermost
-- first, separated by spaces), bell, expected, repeated (1 or 0), waited, data (a JSON object without its braces), task,
-- lineage, and the wants
local function request_from(at)
  local ask = {
    owner = ARGV[at], session = ARGV[at + 1], ttl = tonumber(ARGV[at + 2]), agent = ARGV[at + 3],
    thread = ARGV[at + 4], tool = ARGV[at + 5], key = ARGV[at + 6], scope = ARGV[at + 7], fingerprint = ARGV[at + 8],
    rerun_within = tonumber(ARGV[at + 9]), ancestors = ARGV[at + 10], bell = ARGV[at + 11],
    expected = tonumber(ARGV[at + 12]), repeated = ARGV[at + 13] == '1', waited = tonumber(ARGV[at + 14]),
    data = ARGV[at + 15], task = ARGV[at + 16], lineage = ARGV[at + 17], wants = {},
  }
  for i = at + 18, #ARGV do ask.wants[#ask.wants + 1] = ARGV[i] end
  return ask
end

-- the same request under another key
local function under_key(ask, key)
  local other = {}
  for name, value in pairs(ask) do other[name] = value end
  other.key = key
  return other
end

local function is_ancestor(ask, owner)
  return ask.ancestors ~= '' and string.find(' ' .. ask.ancestors .. ' ', ' ' .. owner .. ' ', 1, true) ~= nil
end

-- what is kept of a request with its lease or its place in the queue
local function kept(ask)
  return ask.session, ask.ttl, ask.agent, ask.thread, ask.tool, ask.key, ask.scope, ask.fingerprint, ask.ancestors,
    ask.bell, ask.expected, ask.lineage
end

local function request_of(owner, wants, row, at)
  return {
    owner = owner, session = row[at], ttl = row[at + 1], agent = row[at + 2], thread = row[at + 3],
    tool = row[at + 4], key = row[at + 5], scope = row[at + 6], fingerprint = row[at + 7], ancestors = row[at + 8],
    bell = row[at + 9], expected = row[at + 10], lineage = row[at + 11], wants = users_wants(wants),
    rerun_within = 0, waited = 0, data = '', task = '',
  }
end
