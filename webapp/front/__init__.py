"""What stands between the network and the site's pages: an asyncio server, several processes of it, and their order.

A request is read whole before anything of the site sees it, and its answer is made whole before the first byte of it is
sent: a client that is slow costs a connection and never a thread. Refuses to know what pages say; the pages refuse to
know who waits.
"""
