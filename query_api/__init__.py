"""The read side: HTTP queries over the read models."""
