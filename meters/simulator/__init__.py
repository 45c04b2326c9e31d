"""A field of meters and devices on real sockets: the protocols, no physics."""
