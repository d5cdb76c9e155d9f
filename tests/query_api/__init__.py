"""Logic tests of the query API: no server is needed."""
