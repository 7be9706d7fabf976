"""How the API server calls programs that run in the cluster: where they are, whether they are believed, how long it
waits. Admission, conversion and aggregation go through here.
"""
