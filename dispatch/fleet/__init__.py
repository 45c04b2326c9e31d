"""Plans of many problems, in parallel, into one folder of results."""
