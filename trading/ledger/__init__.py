"""An append-only Merkle log of public facts and salted commitments.

Pure functions over bytes: no database, no clock, no socket. `grid.store` keeps
the entries, :mod:`trading.ledger.tiles` writes them to a folder, and
:mod:`trading.verify` checks such a folder without any of this code.
"""
