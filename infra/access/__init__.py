"""Who calls, and what they may do: tokens, the keys that sign them, scopes, and what was revoked."""
