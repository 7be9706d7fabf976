"""nginx: its configuration read as nginx reads it, sites served, requests passed on to other servers.

Directives that are not simulated stop it at start, and in ``nginx -t``, with a line that names them. It never ignores
one that would change an answer.
"""
