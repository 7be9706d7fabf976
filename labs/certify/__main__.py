"""Prints ``docs/graders.md`` for the labs that come with the program."""

from __future__ import annotations

import sys

from labs.certify.forks import PROVIDER
from labs.certify.page import page
from labs.library import Library
from labs.proofs import Digests
from labs.settings import load

settings = load({})
sys.stdout.write(page(Library(settings.catalogs).all(), Digests(PROVIDER, settings.topologies, settings.images)))
