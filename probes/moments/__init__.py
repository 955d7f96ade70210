"""What happened to tunnels and sessions, and when: the kernel's part of a timeline."""
