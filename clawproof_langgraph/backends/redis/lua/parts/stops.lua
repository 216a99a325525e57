-- Word to those who hold leases that an agent was stopped, or may go on.
--
-- KEYS  6 stops  stream  one entry for each word, with the agent's name; its id is the cursor of the event. It goes away a
--                        minute after the last word: whoever could not listen for so long has renewed its leases since,
--                        and was told the same.

function stops.announce(agent)
  call('XADD', KEYS[6], 'MAXLEN', 1000, exactly(log.read_clock()) .. '-0', 'agent', agent)
  call('EXPIRE', KEYS[6], 60)
end
