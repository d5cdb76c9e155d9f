"""Logic tests of the demo: no server is needed."""
