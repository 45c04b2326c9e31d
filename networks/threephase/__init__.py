"""Three-phase power flow of unbalanced feeders, and which phase a customer is on."""
