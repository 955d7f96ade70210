"""Who negotiates PPP on a session."""
