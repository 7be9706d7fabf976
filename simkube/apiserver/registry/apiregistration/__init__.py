"""APIServices: who serves which group and version."""
