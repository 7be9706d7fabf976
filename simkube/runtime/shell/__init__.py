"""A POSIX shell for simulated containers: what manifests say in ``sh -c`` and type at ``kubectl exec -it``.

It parses with bounds (size, nesting), yields to the cluster clock as it works, and refuses by name the syntax it does
not know.
"""
