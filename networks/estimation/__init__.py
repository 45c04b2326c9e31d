"""From what meters say to the network's state, with stated confidence."""
