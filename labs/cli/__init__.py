"""The ``kindling`` command. What it needs is imported when it is needed: it starts in a blink."""
