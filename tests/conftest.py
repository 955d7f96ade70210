"""Kernel tests run where the kernel is; everything is reported as one run."""

pytest_plugins = ["tests.support.in_place", "pytester"]
