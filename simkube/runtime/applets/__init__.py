"""The small commands that containers have: cat, ls, ps, wget and the others, as busybox (or Debian) words their
output.
"""
