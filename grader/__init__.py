"""From a running cluster to a verdict: pytest plugin, observations, faults, evidence, scoring.

It knows a kubeconfig, a lab's ``checks.py`` and its parameters. It knows nothing of the site, the records or how the
cluster came to be, and it never loads credentials that a learner supplied.
"""
