"""What every part shares, whatever it does: errors, labels, quantities."""
