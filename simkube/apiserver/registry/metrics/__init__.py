"""What pods and nodes use, in clusters that measure it."""
