"""How live clusters share one event loop, fairly."""
