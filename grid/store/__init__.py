"""Tables, migrations and transactions: the only SQL.

One module per kind of fact; each function takes the open transaction first.
"""

from grid.store.engine import NoStoreError, ReadOnlyError, Store, Transaction

__all__ = ["NoStoreError", "ReadOnlyError", "Store", "Transaction"]
