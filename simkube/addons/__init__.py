"""What runs on top of a cluster and belongs to it all the same: DNS, volumes on nodes' disks, metrics."""
