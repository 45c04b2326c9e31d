"""Many independent pieces of work, here or on many workers, into one folder of results."""
