"""Databases as far as the simple commands of their clients show them; ``redis`` is a module of its own beside them."""
