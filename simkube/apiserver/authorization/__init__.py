"""Who may do what: the attributes of a request, RBAC rules, the roles every cluster has, and no giving of rights one lacks.

After ``pkg/registry/rbac`` and ``plugin/pkg/auth/authorizer/rbac``. It refuses to know HTTP and to authenticate.
"""
