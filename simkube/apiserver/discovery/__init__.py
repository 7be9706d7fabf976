"""What the API server says it serves."""
