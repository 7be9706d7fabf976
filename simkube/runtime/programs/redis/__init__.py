"""``redis-server`` and ``redis-cli``: the commands of redis' own introduction, over TCP, as redis words them.

Strings, lists, sets, hashes, sorted sets, expiry, transactions, channels, settings and saving to a directory. Scripts,
streams, replication, clusters, modules and RESP3 are refused as unknown commands are.
"""
