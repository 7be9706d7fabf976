"""The loops of ``kube-apiserver`` itself: what it makes at its start, and puts back when somebody takes it away.

Source: ``pkg/controlplane/controller``, and the post-start hooks of the API groups (``pkg/registry/*/rest``).
"""
