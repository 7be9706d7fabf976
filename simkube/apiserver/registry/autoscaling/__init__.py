"""What scales by itself."""
