"""Questions that are answered and never stored."""
