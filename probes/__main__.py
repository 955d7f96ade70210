"""python3 -m probes: serve, count, journey, features, prepare, stop."""

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from probes.errors import CannotRunHereError, ProbeError
from probes.hooks import cache
from probes.limits import seconds, whole

if TYPE_CHECKING:
    from probes.figures.tracer import Tracer
    from probes.journeys.tracer import JourneyTracer

PASSED, FAILED, USAGE, CANNOT_RUN, INTERRUPTED = 0, 1, 2, 4, 130


def _serve(options: argparse.Namespace) -> int:
    from probes.debugging.debugger import Debugger
    from probes.server import Server

    if options.moments and options.one_in > 1:
        options.refuse("--moments are of every packet: leave --one-in out")
    tracer = _tracer(options)
    debugger = Debugger(cache_folder=options.cache, report=_log)
    more = {"debug": debugger.answer_switch, "debug_messages": debugger.answer_messages}
    try:
        server = Server(tracer, options.socket, more)
    except ProbeError:
        tracer.close()
        raise
    tracer.note_older()
    _log(f"answering at {options.socket}")
    if tracer.moments is not None:
        server.keep(tracer.moments)
    try:
        server.run()
    finally:
        debugger.close()
    return PASSED


def _tracer(options: argparse.Namespace) -> "Tracer":
    _require_root()
    from probes.figures.tracer import Tracer
    from probes.hooks import modules
    from probes.hooks.spec import Style

    modules.load_driver()
    styles = [Style(options.style)] if options.style else list(Style)
    return Tracer(
        max_figures=options.max_figures,
        one_in=options.one_in,
        moments=getattr(options, "moments", False),
        detach_later=getattr(options, "detach_later", False),
        styles=styles,
        cache_folder=options.cache,
        report=_log,
    )


def _prepare(options: argparse.Namespace) -> int:
    """Compile and prove, so that the next start finds everything in the cache.

    The compiler is what takes long, so that each processor has a program to compile.
    """
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    from probes.hooks import modules

    _require_root()
    modules.load_driver()
    fork = get_context("fork")
    with ProcessPoolExecutor(os.cpu_count(), mp_context=fork) as pool:
        codes = list(pool.map(_prepare_part, _PREPARED, [options] * len(_PREPARED)))
    return codes[0]  # nothing of the figures depends on the others


def _prepare_part(name: str, options: argparse.Namespace) -> int:
    try:
        _PREPARED[name](options)
    except ProbeError as error:
        _log(f"prepared without {name}: {error}")
        return CANNOT_RUN if isinstance(error, CannotRunHereError) else FAILED
    return PASSED


def _prepare_debugging(options: argparse.Namespace) -> None:
    from probes.debugging.debugger import Debugger

    Debugger(cache_folder=options.cache, report=_log).prepare()


def _journeys(options: argparse.Namespace) -> "JourneyTracer":
    from probes.hooks.spec import Style
    from probes.journeys.events import Choice
    from probes.journeys.tracer import JourneyTracer

    styles = [Style(options.style)] if options.style else list(Style)
    return JourneyTracer(
        Choice(budget=0), {}, styles=styles, cache_folder=options.cache, report=_log
    )


#: What is compiled beforehand, each part by itself.
_PREPARED: dict[str, Callable[[argparse.Namespace], None]] = {
    "figures": lambda options: _tracer(options).close(),
    "journeys": lambda options: _journeys(options).close(),
    "debug messages": _prepare_debugging,
}


def _count(options: argparse.Namespace) -> int:
    from probes.beat import Beat
    from probes.figures.table import draw, netns_names

    with Beat(options.interval, options.count) as beat:
        if options.socket:
            from probes.client import TraceClient

            source: TraceClient | Tracer = TraceClient(options.socket)
        else:
            source = _tracer(options)
        try:
            while beat.next():
                snapshot = source.snapshot()
                if options.json:
                    print(json.dumps(snapshot), flush=True)
                else:
                    print(draw(snapshot, netns_names()), end="\n\n", flush=True)
        finally:
            source.close()
    return PASSED


def _journey(options: argparse.Namespace) -> int:
    _require_root()
    from probes.hooks import modules
    from probes.journeys import command as journey_command

    modules.load_driver()
    journey_command.run(options, _log)
    return PASSED


def _features(options: argparse.Namespace) -> int:
    from probes import features

    found = features.ask(attach=not options.no_attach)
    answer = features.report(found)
    if options.json:
        print(json.dumps(answer, indent=2))
    else:
        print(features.draw(found))
    return PASSED if answer["usable"] else CANNOT_RUN


def _stop(options: argparse.Namespace) -> int:
    from probes.client import TraceClient

    TraceClient(options.socket).stop()
    return PASSED


def _require_root() -> None:
    if os.geteuid() != 0:
        raise CannotRunHereError(
            f"tracing the kernel needs root, and this is user {os.geteuid()}",
            "Run it with `sudo /usr/bin/python3 -m probes ...`.",
        )


def _log(text: str) -> None:
    print(f"probes: {text}", file=sys.stderr, flush=True)


class _HelpFormatter(argparse.HelpFormatter):
    """Help of a fixed width: asking for the terminal's would import shutil at every start."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=96)


def _parser(words: Sequence[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        formatter_class=_HelpFormatter,
        prog="python3 -m probes",
        description="Watch what the kernel's L2TP driver does with each datagram.",
        epilog="Exit codes: 0 done, 1 failed, 2 wrong usage, 4 cannot run here.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    caching = argparse.ArgumentParser(add_help=False, formatter_class=_HelpFormatter)
    caching.add_argument(
        "--cache",
        type=Path,
        default=cache.FOLDER,
        metavar="FOLDER",
        help="keep compiled programs there (default: %(default)s, where they are found anyway)",
    )
    tracing = argparse.ArgumentParser(
        add_help=False, formatter_class=_HelpFormatter, parents=[caching]
    )
    tracing.add_argument(
        "--style", choices=("fentry", "kprobe"), help="attach in this way only (default: the best)"
    )
    tracing.add_argument(
        "--max-figures",
        type=whole(1),
        default=4096,
        metavar="N",
        help="room for this many sessions (default: %(default)s)",
    )

    tracing.add_argument(
        "--one-in",
        type=whole(1),
        default=1,
        metavar="N",
        help="count one packet in N (default: every packet)",
    )

    serve = commands.add_parser(
        "serve",
        formatter_class=_HelpFormatter,
        parents=[tracing],
        help="trace, and answer on a socket",
    )
    serve.add_argument("--socket", type=Path, required=True, metavar="PATH")
    serve.add_argument(
        "--moments", action="store_true", help="keep what happens to tunnels and sessions, too"
    )
    serve.add_argument(
        "--detach-later",
        action="store_true",
        help="end at once, and let the kernel detach the programs within the next second"
        " (Linux 6.1 takes as long as without)",
    )
    serve.set_defaults(run=_serve, refuse=serve.error)

    count = commands.add_parser(
        "count", formatter_class=_HelpFormatter, parents=[tracing], help="show figures as they grow"
    )
    count.add_argument("--json", action="store_true", help="one JSON object a line")
    count.add_argument(
        "--interval", type=seconds, default=1.0, metavar="S", help="seconds between two"
    )
    count.add_argument(
        "--count", type=whole(1), metavar="N", help="end after N (default: at SIGINT)"
    )
    count.add_argument("--socket", type=Path, metavar="PATH", help="ask a tracer that runs")
    count.set_defaults(run=_count)

    journey = commands.add_parser(
        "journey",
        formatter_class=_HelpFormatter,
        parents=[caching],
        help="follow packets, one JSON object a line",
    )
    if words[:1] == ["journey"]:  # its import would cost every other command's start
        from probes.journeys.command import add_arguments

        add_arguments(journey)
    journey.set_defaults(run=_journey)

    features = commands.add_parser(
        "features", formatter_class=_HelpFormatter, help="say what kernel and bcc offer"
    )
    features.add_argument("--json", action="store_true")
    features.add_argument(
        "--no-attach", action="store_true", help="do not prove anything by attaching"
    )
    features.set_defaults(run=_features)

    prepare = commands.add_parser(
        "prepare",
        formatter_class=_HelpFormatter,
        parents=[tracing],
        help="compile now, so that tracing starts quickly later",
    )
    prepare.set_defaults(run=_prepare)

    stop = commands.add_parser(
        "stop", formatter_class=_HelpFormatter, help="end a tracer that serves on a socket"
    )
    stop.add_argument("--socket", type=Path, required=True, metavar="PATH")
    stop.set_defaults(run=_stop)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; gives the exit code."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    try:
        options = _parser(words).parse_args(words)
        code: int = options.run(options)
        return code
    except CannotRunHereError as error:
        _log(str(error))
        return CANNOT_RUN
    except ProbeError as error:
        _log(str(error))
        return FAILED
    except BrokenPipeError:
        return PASSED
    except KeyboardInterrupt:
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
