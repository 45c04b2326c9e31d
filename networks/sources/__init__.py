"""Where a network comes from: its tables, its compiled model and the cache of it."""
