"""Speed and memory, measured as ratios in one run: ``make bench``.

Nothing here asserts: a figure is printed beside what it should reach and beside the same work on plain kind. A part
that cannot be measured on this machine says why.
"""
