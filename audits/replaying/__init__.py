"""Sends a slice of the history again, to another topic or an HTTP endpoint: for load tests, and for incidents."""
