"""What is counted per (netns, tunnel, session), with verdicts and the driver's counters beside."""
