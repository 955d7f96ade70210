"""What tracing costs: a session without daemons, as many packets as go, and tracers beside it.

Runs where the kernel is (``python3 -m lab.bench.traced``, as root); ``lab/bench/tracing.py``
starts it from the box.
"""
