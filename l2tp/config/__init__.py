"""A daemon's configuration: TOML read as a whole, every mistake with its line."""
