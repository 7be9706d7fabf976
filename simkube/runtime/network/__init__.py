"""The network of pods and nodes, as kernels and CNI plug-ins make it: addresses, ports, sockets, bytes."""
