"""A lab that runs: brought up, dialled, supervised, and found again by name."""
