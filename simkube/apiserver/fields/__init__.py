"""Three kinds of patch, server-side apply, and who owns which field."""
