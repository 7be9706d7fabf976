"""What the API server warns of while it takes an object all the same: it will not do what was meant."""
