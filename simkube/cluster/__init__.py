"""One cluster: its topology, what is there from the start, and its wiring."""
