-- A request, and the resources of it. The key and the scope of a call are two more exclusive resources, whose names begin
-- with noncharacters: users' names must not contain them, and they sort last.
--
-- What is kept of a request with its lease or its place in the queue is a JSON array: session, ttl, agent, thread, tool,
-- key, scope, fingerprint, ancestors (outermost first, separated by spaces), bell, expected, lineage, wants (texts: x or s
-- for the mode, and the resource).

function requests.is_scope(name) return sub(name, 1, 4) == SCOPE end
function requests.is_key(name) return sub(name, 1, 4) == KEY end

function requests.name_of(want) return sub(want, 2) end
function requests.is_shared(want) return sub(want, 1, 1) == 's' end

-- the resources of a request with those that stand for its scope and its key
function requests.all_wants(ask)
  local wants = {}
  for i, want in ipairs(ask.wants) do wants[i] = want end
  if ask.scope ~= '' then wants[#wants + 1] = 'x' .. SCOPE .. ask.scope end
  if ask.key ~= '' then wants[#wants + 1] = 'x' .. KEY .. ask.key end
  return wants
end

-- the names that a user knows, a line for each
function requests.names_of(ask)
  local names = {}
  for i, want in ipairs(ask.wants) do names[i] = requests.name_of(want) end
  return table.concat(names, '\n')
end

function requests.of(owner, kept)
  local row = cjson.decode(kept)
  return {
    owner = owner, kept = kept, session = row[1], ttl = row[2], agent = row[3], thread = row[4], tool = row[5],
    key = row[6], scope = row[7], fingerprint = row[8], ancestors = row[9], bell = row[10], expected = row[11],
    lineage = row[12], wants = row[13], rerun_within = 0, waited = 0, data = '', task = '',
  }
end

-- ARGV from `at`: owner, repeated (0: no, 1: yes, 2: yes, since the reply was lost, 3: yes,
-- sent ahead of its turn), waited, rerun_within, data
-- (a JSON object without its braces, before a comma), task, and what is kept of it
function requests.from_arguments(at)
  local ask = requests.of(ARGV[at], ARGV[at + 6])
  ask.repeated, ask.unheard, ask.ahead = ARGV[at + 1] ~= '0', ARGV[at + 1] == '2', ARGV[at + 1] == '3'
  ask.waited, ask.rerun_within = tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])
  ask.data, ask.task = ARGV[at + 4], ARGV[at + 5]
  return ask
end

-- the same request under another key
function requests.under_key(ask, key)
  local other = {}
  for name, value in pairs(ask) do other[name] = value end
  other.key = key
  other.kept = text({
    ask.session, ask.ttl, ask.agent, ask.thread, ask.tool, key, ask.scope, ask.fingerprint, ask.ancestors, ask.bell,
    ask.expected, ask.lineage, ask.wants,
  })
  return other
end

function requests.is_ancestor(ask, owner)
  return ask.ancestors ~= '' and string.find(' ' .. ask.ancestors .. ' ', ' ' .. owner .. ' ', 1, true) ~= nil
end
