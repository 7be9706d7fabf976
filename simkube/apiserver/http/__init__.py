"""Requests over HTTP: paths, bodies, negotiation, paging, watches, answers."""
