"""Outages: where the supply is broken, in which order it is restored, and how reliable it was."""
