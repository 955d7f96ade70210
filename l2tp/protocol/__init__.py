"""RFC 2661 as a sans-IO core: octets, messages, state tables, reliable delivery, endpoint."""
