"""Who may do what: a request's attributes, RBAC rules, the roles every cluster has, no giving of rights one lacks.

After ``pkg/registry/rbac`` and ``plugin/pkg/auth/authorizer/rbac``. It refuses to know HTTP and to authenticate.
"""
