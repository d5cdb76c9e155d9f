"""Reads of the identity context: accounts, their profiles, devices and sessions, and API keys."""

TOPIC = "identity.events"
