"""The store: revisions, compare-and-swap, watch history, durable."""
