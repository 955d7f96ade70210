"""BPF programs that watch the L2TP driver, and what reads them."""
