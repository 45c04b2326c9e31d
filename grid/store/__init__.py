"""Tables, migrations and transactions: the only SQL."""
