-- Reads a part of the log.
--
-- parts: step fields log
-- ARGV   4 the cursor behind which it begins, 5 the most entries
-- reply  the newest cursor that was trimmed away; the newest of all; the entries (log.lua)

return {
  fields.read('t') or '0', exactly(log.read_clock()), call('XRANGE', LOG, '(' .. ARGV[4], '+', 'COUNT', ARGV[5]),
}
