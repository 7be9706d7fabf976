"""What learners do: labs, the clusters they run on, and the life of one learner's lab."""
