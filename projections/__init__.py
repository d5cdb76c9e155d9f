"""Faust agents that fold events into read models."""
