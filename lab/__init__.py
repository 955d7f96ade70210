"""The lab: where it runs, its topology, its checks and its command line."""
