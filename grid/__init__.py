"""The microgrid: what it is, how it is run, how people see it."""
