"""What happened: envelopes, event types and the topics that carry them."""
