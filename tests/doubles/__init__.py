"""Stand-ins for what is slow, distant or hard to break, and clusters to try things in: one place for every suite."""
