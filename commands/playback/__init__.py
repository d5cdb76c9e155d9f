"""The playback context: what players report. Publish lane: Kafka is the authority."""
