"""``kube-scheduler``: filter, score, bind; independent of the other components."""
