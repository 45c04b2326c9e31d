"""AC power flow over many intervals, how it answers to a change, and its judge."""
