"""What an operator does to a network: switches and taps it, loses parts, islands and restarts it.

Everything here asks the same power flow as the rest of the package, of a network that is switched
otherwise, and says in words what changed.
"""
