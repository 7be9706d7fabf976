"""Who may have how much of the API server."""
