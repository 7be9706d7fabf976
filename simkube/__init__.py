"""A simulated Kubernetes cluster, laid out as Kubernetes itself is.

It exists so that someone with nothing but Python can learn on a cluster at once, with the real kubectl. It refuses what
it does not simulate, by name: a false success would teach something untrue and corrupt grades.

====================  ==========================================================================================
``store``             etcd: revisions, compare-and-swap, watch history, durable; only ``apiserver`` touches it
``apiserver``         the request path: validation, defaulting, patch and apply, subresources, tables, watch
``client``            list, watch, workqueue: the only way the components below see the cluster
``scheduler``         filter, score, bind
``controllers``       one reconcile loop a file
``kubelet``           pod lifecycle, probes, restarts, status
``runtime``           what the kubelet drives: images, containers, processes, files; images are data in ``behaviours``
``proxy``             Services to endpoints, DNS, the pod network
``clock``             injected time and the tasks that run on it
``cluster``           wiring: one cluster, run or stepped
``host``              one HTTPS process that serves many clusters
====================  ==========================================================================================
"""
