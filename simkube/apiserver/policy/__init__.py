"""The admission plugins that hold a namespace's pods to what its administrator allows: limits, quotas, pod security."""
