"""Jobs, and the schedules that make them."""
