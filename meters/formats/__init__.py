"""Files of interval readings."""

from meters.formats.history import read_history, write_history

__all__ = ["read_history", "write_history"]
