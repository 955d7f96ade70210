"""What `l2tp-lab bench` measures: a file for each kind of figure, `traced/` where the kernel is."""
