"""One HTTPS process that serves many clusters: started when first needed, outliving whoever started it."""
