"""Who takes part: registered, signed in, and held to be who they are."""
