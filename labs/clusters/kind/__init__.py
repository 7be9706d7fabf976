"""Real clusters: kind, in Docker. One cluster per learner and lab.

================  ==========================================================================================
``provider``      keeps the contract of :mod:`labs.clusters.provider`
``nodes``         the node containers, through the Docker SDK: what is there, what runs, commands in them
``faults``        what is broken on purpose in them, by ``scripts``; ``controllers`` has these by name
``images``        the images a lab needs: built, pulled, loaded into every node
``credentials``   kubeconfigs for the learner and for the grader, each with a client certificate of its own
``certificates``  certificates, for those and for servers in the cluster
``metrics``       ``metrics.k8s.io``, for labs that need it
``baseline``      the starting state of a cluster, and the way back to it
================  ==========================================================================================
"""

from labs.clusters.kind.provider import KindProvider

__all__ = ["KindProvider"]
