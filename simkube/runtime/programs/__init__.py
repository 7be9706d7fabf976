"""The simulated programs that images start: servers of their own, as the real ones answer on the wire."""
