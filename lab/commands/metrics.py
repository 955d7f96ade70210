"""``l2tp-lab metrics``: the tracer's figures as Prometheus text."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from lab.console import Console

_SCRAPING = """
how to scrape: --serve prints where the token is, in a file where the lab runs
(in the appliance, if it runs there), and the command that shows it. In
another shell of this box:
  TOKEN=$(l2tp-lab shell -- cat PATH-THAT-WAS-PRINTED)
  curl -H "Authorization: Bearer $TOKEN" http://127.0.0.1:9801/metrics
For Prometheus, in scrape_configs:
  - job_name: l2tp-lab
    static_configs: [{targets: ["127.0.0.1:9801"]}]
    authorization: {credentials: TOKEN}
Each --serve makes a new token. docs/trace.md lists the metrics.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.epilog = _SCRAPING
    parser.add_argument(
        "--serve",
        action="store_true",
        help="serve them on 127.0.0.1 until Ctrl-C, to who shows the token (in a file; its path is"
        " printed)",
    )
    parser.add_argument(
        "--all", action="store_true", help="of the whole box, counted from now on: no lab is needed"
    )
    parser.add_argument("--port", type=int, default=9801, help="where (9801; 0: any that is free)")


def verify(args: argparse.Namespace) -> None:
    """Refuse a port that is none, before anything is started for it."""
    from lab.errors import UsageError

    if not 0 <= args.port <= 0xFFFF:
        raise UsageError(f"--port {args.port}: ports are from 1 to 65535, and 0 takes a free one")


def run(args: argparse.Namespace, console: Console) -> int:
    """Print the figures once, or serve them."""
    from lab.results.metrics import prometheus_text
    from lab.running.ending import in_good_order
    from lab.running.tracing import of_everybody, of_running_lab

    figures = of_everybody() if args.all else of_running_lab(args.lab, measure=args.serve)
    with ExitStack() as stack:
        if args.serve:
            stack.enter_context(in_good_order())
        source = stack.enter_context(figures)

        def text() -> str:
            return prometheus_text(source.snapshot(), source.names())

        if args.serve:
            _serve(text, args, console)
        else:
            print(text(), end="")
    return 0


def _serve(text: Callable[[], str], args: argparse.Namespace, console: Console) -> None:
    from lab.running.metrics_server import HOST, MetricsServer, make_token

    with TemporaryDirectory(prefix="l2tp-lab-") as folder:
        path = Path(folder) / "token"
        with MetricsServer(args.port, make_token(path), text) as server:
            console.say(
                f"http://{HOST}:{server.port}/metrics, with the token in {path}\n"
                f"  which this shows: {_shows(path, args)}"
            )
            with suppress(KeyboardInterrupt):
                server.serve_forever()


def _shows(path: Path, args: argparse.Namespace) -> str:
    from lab.places.choose import INSIDE
    from lab.spelling import command

    if args.all and INSIDE not in os.environ:
        return f"sudo cat {path}"  # of this box, where no lab need be
    return f"{command('shell', args.lab)} -- cat {path}"
