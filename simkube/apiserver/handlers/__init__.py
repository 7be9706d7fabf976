"""The steps of each request once it is known who asks for what: reads, writes, deletes, subresources, reviews."""
