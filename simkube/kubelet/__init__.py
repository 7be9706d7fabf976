"""The kubelet: runs the pods bound to its node through the container runtime, and reports how they fare.

``kubelet.py`` is the component; ``worker.py`` brings one pod in line; the rest is one concept a file. It refuses what
``refusals.py`` lists, and knows nothing of what an image does: that is the runtime's.
"""
