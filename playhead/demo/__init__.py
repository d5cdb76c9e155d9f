"""The demo: one evening of simulated viewers against a whole installation, and what became of it in every view."""
