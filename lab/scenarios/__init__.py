"""Scenarios: one file each: a question, the steps, and what the kernel must show.

A scenario's file has ``QUESTION`` and ``run(live)``, which yields one Finding for everything that
it asserts, in order. It may raise ``lab.errors.CannotRun``.
"""
