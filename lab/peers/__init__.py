"""Foreign L2TP daemons that a lab or a test can put at the other end of a tunnel."""
