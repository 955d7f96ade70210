"""What this box can do: one table of capabilities, each “no” with its cure."""
