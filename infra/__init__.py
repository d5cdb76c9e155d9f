"""What every process shares: settings, clocks, ids, servers and their clients."""
