"""The control room: cycle, stages, field link and solver process."""
