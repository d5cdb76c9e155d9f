"""Whether history is what it was: the log's chain, Kafka against the log, the archive against both, and what
checkpoints signed. What is wrong is found and named; docs/audits.md.
"""
