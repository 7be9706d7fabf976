"""Where a lab's cluster comes from: one file per provider, all keeping the contract in ``provider.py``."""
