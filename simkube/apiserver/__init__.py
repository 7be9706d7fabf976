"""The request path of the API server: from a request to a stored, watched object."""
