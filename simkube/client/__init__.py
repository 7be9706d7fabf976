"""What the components see of the API server: requests, watches, the workqueue, events."""
