"""The catalog context: what editors publish. Handle lane: the event log decides."""
