"""One history of archive, Kafka and log: what auditors ask, in one order, page by page, and as trees (ADR 27)."""
