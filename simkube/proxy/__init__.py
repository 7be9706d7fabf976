"""The pod network and what routes on it."""
