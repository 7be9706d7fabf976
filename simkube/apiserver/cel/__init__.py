"""The Common Expression Language, as far as rules of definitions and policies use it.

After the CEL specification and ``apiextensions-apiserver/pkg/apiserver/schema/cel``: read (:mod:`.syntax`), checked
against the schema's types (:mod:`.checking`), evaluated within a budget (:mod:`.evaluation`). An expression that uses
more than is here is refused by name (501) when the definition is made, so that no rule is ever skipped.
"""
