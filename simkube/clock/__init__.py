"""Injected time: at any speed, paused, by steps."""
