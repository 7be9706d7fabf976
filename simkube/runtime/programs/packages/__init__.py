"""``apt``, ``apk`` and ``dnf``: they install the simulated tools from an index that is part of this simulation."""
