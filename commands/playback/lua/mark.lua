-- Marks what Kafka acknowledged of a session that takes no place. KEYS[1]: the session's own; ARGV: runs of seqs.
-- Answers which were marked before.
if state(KEYS[1]) == '' then
  set_state(KEYS[1], 'o')
end
return mark(KEYS[1], 1)
