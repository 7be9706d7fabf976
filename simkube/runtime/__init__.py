"""What a kubelet drives: images, containers, processes, files. The simulated counterpart of containerd."""
