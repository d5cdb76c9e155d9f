"""The identity context: who somebody is, what is theirs, and what they may do."""
