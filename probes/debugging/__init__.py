"""The driver's debug messages, switched on for chosen tunnels and sessions."""
