"""The kernel's PPPoL2TP driver: the only place with raw sockets and ioctls."""
