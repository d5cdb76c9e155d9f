"""Simulated players, and an oracle that sees what they really did, against the code that hears only their reports."""
