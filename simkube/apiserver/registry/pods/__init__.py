"""Pods, and what is asked of them through other paths."""
