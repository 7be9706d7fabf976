"""``python -m simkube.coverage``: print the coverage page."""

from simkube.coverage.page import page

print(page(), end="")  # noqa: T201  printing is what it is for
