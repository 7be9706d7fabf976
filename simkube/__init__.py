"""A simulated Kubernetes cluster, laid out as Kubernetes itself is.

It exists so that someone with nothing but Python can work on a cluster at once, with the real kubectl, and so that a
test can have one of its own. It refuses what it does not simulate, by name: a false success would teach something
untrue.

=====================  =========================================================================================
``apimachinery``       errors as Status objects, labels, quantities
``etcd``               revisions, compare-and-swap, watch history, durable; only ``apiserver`` touches it
``clock``, ``trace``   injected time; who changed what in answer to what
``apiserver``          the request path, from HTTP to a write and back, one room a step
``client``             get, list, watch, workqueue: the only way the components below see the cluster
``scheduler``          filter, score, bind, preempt
``controllers``        one reconcile loop a file
``kubelet``            pod lifecycle, probes, restarts, status
``runtime``            what the kubelet drives: images, containers, processes, files; images are data in ``behaviours``
``proxy``, ``addons``  Services to endpoints, the pod network; DNS, volumes, metrics
``faults``             what can be stopped and broken by name
``cluster``            wiring: one cluster, run or stepped
``eventloop``          many clusters in one thread, each with its share
``host``               one HTTPS process that serves them
``testing``            clusters for tests
``coverage``           what is simulated, partly, stored or refused, as data
=====================  =========================================================================================
"""
