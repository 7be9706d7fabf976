"""The controllers of ``kube-controller-manager``: one reconcile loop a file, level-triggered, none of them polls."""
