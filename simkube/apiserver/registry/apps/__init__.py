"""The kinds that run pods for somebody."""
