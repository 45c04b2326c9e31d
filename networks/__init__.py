"""The feeder: measurements in, network state, limits and certificates out."""
