"""What tracing costs: a session without daemons, as many packets as go, and tracers beside it.

Runs where the kernel is (``python3 -m lab.tracing_bench``, as root); ``lab/bench_tracing.py``
starts it from the box.
"""
