"""The admission plugins: what is decided about a request with a look at other objects, after its own shape is known.

They change new objects (service accounts, limits, classes), refuse them (quotas, pod security, policies), or warn. The
order in which they are asked is in :mod:`simkube.apiserver.registry.writing`.
"""
