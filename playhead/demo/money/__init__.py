"""Who pays for what: plans, payments, and what must have become of every account."""
