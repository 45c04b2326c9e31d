"""Orders, clearing, settlement, statements and the ledger, in exact integers."""
