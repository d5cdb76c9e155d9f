"""What auditors ask of the whole history: what happened, what was known then, and whether anybody changed it since."""
