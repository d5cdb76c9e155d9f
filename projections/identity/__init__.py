"""The identity context's views: accounts, what is theirs, where they are signed in, and API keys."""
