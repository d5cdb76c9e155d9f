"""What `playhead migrate` applies: Kafka topics, Postgres revisions, Cassandra statements; each once, in any race."""
