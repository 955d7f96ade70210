"""What the checks measure with: the kernel's own tables, ping, iperf3 and captures, in a namespace."""
