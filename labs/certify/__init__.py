"""How often a lab's checks are wrong: hundreds of changes of its right states, judged by them and by an oracle.

The oracle (:mod:`labs.certify.oracle`) knows the lab's requirements and what is in the cluster, and nothing of the
checks. Refuses to decide what it cannot know: that is the author's, and listed.
"""
