"""What the API server says of itself to a Prometheus."""
