"""What each kind is and how it differs, and the steps of a write, a delete and a subresource."""
