"""What grading one attempt may cost, whatever is in the cluster: every bound of the grader's in one place.

The session bounds the whole: an attempt's seconds are its lab's ``limit``, and a grading process that does not end is
killed. Beyond a bound of size an answer is the learner's mistake (failed, with the bound in the sentence), since nobody
else fills their cluster; beyond a bound of time it is not graded.
"""

from __future__ import annotations

# -- one request to the API server -----------------------------------------------------------------------------------

CONNECT_SECONDS = 10.0
READ_SECONDS = 30.0
"""Until an answer has come whole; one byte a second is no answer."""
PATIENCE_SECONDS = 6.0
"""An API server that does not answer is asked again for so long."""
BUSY_SECONDS = 90.0
"""The same for one that is there but slow: a busy machine is not the learner's fault."""
ANSWER_BYTES = 32 << 20
"""Of one answer. It is read as it was sent: nothing is decompressed."""
LISTED = 500
"""Objects of one kind in the learner's namespace. Of more, a check would see only some."""
EVENTS_LISTED = 100
LOG_BYTES = 256 << 10

# -- pods that end ---------------------------------------------------------------------------------------------------

GRACE_SECONDS = 60.0
"""Of a pod's own grace, where the grader waits for its end; a longer one is cut short."""
ENDED_SECONDS = 90.0
"""Beyond its grace, for its kubelet, which may be busy or have been away, to say that it has ended."""

# -- the grading process ---------------------------------------------------------------------------------------------

MEMORY_BYTES = 1 << 30
"""Of data; the largest answer takes a third of it."""

# -- the probe -------------------------------------------------------------------------------------------------------

UP_SECONDS = 90.0
"""Until the probe pod answers."""
SLACK_SECONDS = 30.0
"""Beyond what the probe itself needs, for its answer to come back through a busy API server."""
LOAD_ROWS_REQUESTS = 300
"""Of a load that are kept one by one as evidence, failures first; of all others there are counts over time."""

# -- what is said and kept -------------------------------------------------------------------------------------------

MESSAGE_CHARACTERS = 2000
PART_CHARACTERS = 800
"""Of what was expected, and of what was observed, in one message."""
QUOTE_CHARACTERS = 160
"""Of a learner's words in a message."""
CAUSE_CHARACTERS = 6000
ENTRY_CHARACTERS = 120_000
"""Of one entry of a check's evidence."""
EVIDENCE_CHARACTERS = 300_000
"""Of a check's evidence."""
EVIDENCE_ENTRIES = 200
SNAPSHOT_OBJECTS = 100
"""Of each kind."""
SNAPSHOT_CHARACTERS = 60_000
"""Of each kind."""
