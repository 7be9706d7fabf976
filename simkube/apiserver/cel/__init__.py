"""The Common Expression Language, as rules of definitions, policies and conditions of webhooks use it.

After the CEL specification and ``apiserver/pkg/cel``: read (:mod:`.tokens`, :mod:`.syntax`), checked against the
schema's types (:mod:`.checking`), evaluated within a budget (:mod:`.evaluation`); functions are in :mod:`.library`. An
expression that uses more than is here is refused by name (501) when it is written, so that no rule is ever skipped.
"""
