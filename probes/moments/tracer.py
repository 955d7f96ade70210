"""Keeps what happened to tunnels and sessions, for whoever draws a timeline of it."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypedDict

from probes.errors import ProbeError
from probes.figures.aggregate import per_cpu
from probes.hooks import cache
from probes.hooks.attaching import Attached
from probes.hooks.ringbuf import RingBuffer
from probes.hooks.spec import MODULE, Hook, Program, Style
from probes.hooks.state import HookState
from probes.journeys.spec import SESSION_OFFSETS
from probes.moments.events import RECORD, MomentRow, moment_compiler_flags, row_of

# Room for 450 moments between two looks, and for so many altogether; the oldest are forgotten.
_RING_OCTETS = 1 << 18
MAX_MOMENTS = 8192
_LAST_WAIT_S = 5.0

_TRACEPOINTS = (
    "register_tunnel", "delete_tunnel", "free_tunnel",
    "register_session", "delete_session", "free_session",
    "session_pkt_oos", "session_pkt_expired", "session_pkt_outside_rx_window",
)  # fmt: skip

MOMENTS = Program(
    name="moments",
    sources=("common.h", "moments.c"),
    hooks=(
        *(
            Hook(
                name, name, None, False, "", False, f"when {name} happened: it is in no timeline",
                tracepoint=True,
            )
            for name in _TRACEPOINTS
        ),
        Hook(
            "l2tp_udp_encap_recv", "l2tp_udp_encap_recv", MODULE, False, "moments_encap_recv",
            False, "the control messages of daemons that tell nothing themselves",
        ),
        Hook(
            "pppol2tp_recv", "pppol2tp_recv", "l2tp_ppp", False, "moments_pppol2tp_recv",
            False, "when a session's first packet was received",
        ),
        Hook(
            "l2tp_xmit_skb", "l2tp_xmit_skb", MODULE, False, "moments_l2tp_xmit_skb",
            False, "when a session's first packet was sent",
        ),
    ),
    offsets=(
        ("sk_buff", "len"),
        ("sk_buff", "data_len"),
        ("sk_buff", "data"),
        ("sk_buff", "head"),
        ("sk_buff", "network_header"),
        ("sock_common", "skc_net"),
        ("net", "ns"),
        ("ns_common", "inum"),
    ),
    module_offsets=((MODULE, SESSION_OFFSETS),),
)  # fmt: skip


class Moments(TypedDict):
    """What the tracer answers when asked for moments.

    since_ns: when the last hook was attached (CLOCK_MONOTONIC); before it nothing was seen.
    trouble: why nothing is kept (yet); empty when all is well.
    following: the number to ask after next time. forgotten: how many are no
    longer kept; lost: for how many the buffer had no room.
    """

    moments: list[MomentRow]
    since_ns: int
    trouble: str
    following: int
    forgotten: int
    lost: int
    hooks: list[HookState]


class MomentTracer:
    """The program of moments at work. Arguments and errors as for Attached."""

    def __init__(
        self,
        *,
        styles: Iterable[Style] = tuple(Style),
        cache_folder: Path = cache.FOLDER,
        report: Callable[[str], None] = lambda text: None,
    ) -> None:
        self._attached = Attached(
            MOMENTS,
            moment_compiler_flags(),
            {"moments": _RING_OCTETS},
            styles=styles,
            cache_folder=cache_folder,
            report=report,
        )
        self._ring = RingBuffer(self._attached.maps.map_fd("moments"), _RING_OCTETS, RECORD)
        self._since_ns = time.monotonic_ns()
        self._kept: deque[MomentRow] = deque(maxlen=MAX_MOMENTS)
        self._number = 0

    def drain(self) -> None:
        """Take over what has happened, before the buffer is full."""
        for record in self._ring.drain():
            self._kept.append(row_of(record))
            self._number += 1

    def after(self, number: int) -> Moments:
        """Give what happened after the first so many moments."""
        self.drain()
        first = self._number - len(self._kept)
        wanted = list(self._kept)[max(0, number - first) :]
        lost = sum(
            cpu[0]
            for _, value in self._attached.maps.entries("moments_lost")
            for cpu in per_cpu(value, 1)
        )
        return Moments(
            moments=wanted,
            since_ns=self._since_ns,
            trouble="",
            following=self._number,
            forgotten=max(0, first - number),
            lost=lost,
            hooks=self._attached.hooks(),
        )

    def close(self) -> None:
        """Detach everything. May be called again."""
        self._ring.close()
        self._attached.close()


# What is told as trouble as long as it is none yet.
ATTACHING = "the probes for it are still being attached"


class ArrivingMoments:
    """A MomentTracer that is made meanwhile, so that nobody waits for a compiler.

    make: makes it; what it raises as ProbeError is told as trouble.
    """

    def __init__(self, make: Callable[[], MomentTracer]) -> None:
        self._make = make
        self._tracer: MomentTracer | None = None
        self._trouble = ATTACHING
        self._thread = threading.Thread(target=self._arrive, daemon=True)
        self._thread.start()

    def _arrive(self) -> None:
        try:
            self._tracer = self._make()
        except ProbeError as error:
            self._trouble = error.message

    def drain(self) -> None:
        """Take over what has happened, if it is there yet."""
        if self._tracer is not None:
            self._tracer.drain()

    def after(self, number: int) -> Moments:
        """Give what happened after the first so many moments."""
        if self._tracer is not None:
            return self._tracer.after(number)
        return Moments(
            moments=[],
            since_ns=time.monotonic_ns(),
            trouble=self._trouble,
            following=number,
            forgotten=0,
            lost=0,
            hooks=[],
        )

    def close(self) -> None:
        """Detach everything. What is still compiled then ends with the process."""
        self._thread.join(_LAST_WAIT_S)
        if self._tracer is not None:
            self._tracer.close()
