"""Who asked what, and how it ended."""
