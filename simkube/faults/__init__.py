"""What can be stopped and broken by name, and what components feel of it."""
