"""Who watches what: scripts, the players that follow them, and what continue watching must hold then."""
