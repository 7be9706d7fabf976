"""Kinds that a cluster's users define: CustomResourceDefinitions, and what follows from each.

A definition is an object like any other; what is served for it is made here from its schema: decoding, pruning,
defaulting, validation, columns, scale, documents. Clusters without definitions hold nothing of all this.
"""
