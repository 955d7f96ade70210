"""The warm Python: one process that has everything imported, forked for each that asks."""
