"""How much more a network can host: at one bus, at all together, in drawn orders."""
