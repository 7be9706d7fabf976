"""A class with hostile members, processes that are killed, and thousands of labs: ``make soak``.

It shows that what one learner does costs nobody else anything. Everything is bounded, on loopback only, and ends by
itself. What must always hold is an invariant: one that is broken is named and makes the run fail. Figures of time and
memory are measured and shown beside what they should reach; on a busy machine they mean little.
"""
