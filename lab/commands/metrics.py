"""``l2tp-lab metrics``: the tracer's figures as Prometheus text."""

from __future__ import annotations

import argparse

from lab.console import Console


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--serve",
        action="store_true",
        help="serve them on 127.0.0.1 until Ctrl-C, to who shows the token (in a file; its path is"
        " printed)",
    )
    parser.add_argument("--port", type=int, default=9801, help="where (9801; 0: any that is free)")


def run(args: argparse.Namespace, console: Console) -> int:
    """Print the figures once, or serve them."""
    from lab.results.metrics import prometheus_text
    from lab.running.live import Live
    from lab.running.metrics_server import HOST, MetricsServer, make_token
    from lab.running.tracing import node_names, of_lab

    live = Live.open(args.lab)
    names = node_names(live)

    def text() -> str:
        with live.tracer as tracer:
            return prometheus_text(of_lab(tracer.snapshot(), names), names)

    if not args.serve:
        print(text(), end="")
        return 0
    path = live.folder / "metrics.token"
    with MetricsServer(args.port, make_token(path), text) as server:
        console.say(
            f"http://{HOST}:{server.port}/metrics, with the token in {path}"
            f" (l2tp-lab --lab {args.lab} shell -- cat {path})"
        )
        try:
            server.serve_forever()
        finally:
            path.unlink(missing_ok=True)
    return 0
