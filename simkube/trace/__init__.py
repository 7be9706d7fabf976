"""Who changed what in answer to what, and sentences that tell it."""
