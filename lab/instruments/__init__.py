"""What the checks measure with, in a namespace: the kernel's tables, ping, iperf3, captures."""
