"""ingress-nginx: a program that serves HTTP as the Ingress objects of its class say.

It runs in a pod like any other image; what it knows of the cluster it reads with its service account's permissions.
"""
