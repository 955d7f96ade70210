"""The driver's messages of chosen tunnels and sessions: switched on and off, and read.

Nothing is attached while nothing is on. What is attached belongs to this process: the kernel takes
it away with it, however it ends.
"""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from probes.debugging.messages import Filter, Message, message_of
from probes.debugging.spec import (
    DEBUG,
    FILTER,
    FILTER_KEY,
    MAX_FILTERS,
    MESSAGE,
    RING_OCTETS,
    Category,
    debug_flags,
)
from probes.errors import ProbeError
from probes.hooks import cache
from probes.hooks.attaching import Attached
from probes.hooks.ringbuf import RingBuffer
from probes.hooks.spec import Style


class Debugger:
    """Debug messages by tunnel and session, in all network namespaces.

    styles, cache_folder, report: as for a tracer.
    """

    def __init__(
        self,
        *,
        styles: Iterable[Style] = tuple(Style),
        cache_folder: Path = cache.FOLDER,
        report: Callable[[str], None] = lambda text: None,
    ) -> None:
        self._styles, self._cache_folder, self._report = tuple(styles), cache_folder, report
        self._attached: Attached | None = None
        self._ring: RingBuffer | None = None

    def switch(
        self, netns: int, tunnel_id: int, session_id: int, categories: Category, *, on: bool
    ) -> None:
        """Turn categories on or off.

        netns: inode number. session_id: 0 for the tunnel and all its sessions, to which what is
        on for the session itself is added. Raises ProbeError when nothing can be attached.
        """
        if self._attached is None and not on:
            return
        attached = self._attached or self._attach()
        key = FILTER_KEY.pack(netns, tunnel_id, session_id)
        before = dict(attached.maps.entries("filters")).get(key, bytes(FILTER.size))
        second_ns, wanted, said, left_out, lost = FILTER.unpack(before)
        wanted = wanted | categories if on else wanted & ~categories
        if wanted:
            state = FILTER.pack(second_ns, wanted, said, left_out, lost)
            attached.maps.write("filters", key, state)
        else:
            # What is on again later begins anew; and the table has room for so many only.
            attached.maps.delete("filters", key)
        if not any(state["categories"] for state in self.filters()):
            self.close()

    def _attach(self) -> Attached:
        room = {"filters": MAX_FILTERS, "messages": RING_OCTETS}
        self._attached = attached = Attached(
            DEBUG,
            debug_flags(),
            room,
            styles=self._styles,
            cache_folder=self._cache_folder,
            report=self._report,
        )
        self._ring = RingBuffer(attached.maps.map_fd("messages"), RING_OCTETS, MESSAGE)
        return attached

    def filters(self) -> list[Filter]:
        """Say what is on."""
        return sorted(self._filters(), key=lambda f: (f["netns"], f["tunnel_id"], f["session_id"]))

    def _filters(self) -> Iterator[Filter]:
        for key, value in self._attached.maps.entries("filters") if self._attached else ():
            _, categories, _, left_out, lost = FILTER.unpack(value)
            if categories:
                netns, tunnel_id, session_id = FILTER_KEY.unpack(key)
                names = [c.name.lower() for c in Category if c & categories and c.name]
                yield Filter(
                    netns=netns,
                    tunnel_id=tunnel_id,
                    session_id=session_id,
                    categories=names,
                    left_out=left_out,
                    lost=lost,
                )

    def messages(self) -> list[Message]:
        """Take the messages that nobody has taken yet, oldest first."""
        return [message_of(*record) for record in self._ring.drain()] if self._ring else []

    def missing(self) -> list[str]:
        """Say what cannot be said here, and why."""
        hooks = self._attached.hooks() if self._attached else []
        return [f"{hook['hides']}: {hook['reason']}" for hook in hooks if not hook["attached"]]

    def prepare(self) -> None:
        """Compile and prove, so that the first switch finds everything in the cache."""
        self._attach()
        self.close()

    def close(self) -> None:
        """Turn everything off, and leave nothing attached. May be called again."""
        if self._ring:
            self._ring.close()
            self._ring = None
        if self._attached:
            self._attached.close()
            self._attached = None

    # As a tracer's server offers them.

    def answer_switch(self, request: dict[str, Any]) -> dict[str, Any]:
        """Carry out {"netns", "tunnel_id", "session_id", "categories", "on"}.

        Answers with what is on now; a request that makes no sense or cannot be carried out, with
        an error.
        """
        try:
            categories = Category(0)
            for name in request["categories"]:
                categories |= Category[str(name).upper()]
            netns, tunnel_id, session_id = (
                int(request[name]) for name in ("netns", "tunnel_id", "session_id")
            )
            self.switch(netns, tunnel_id, session_id, categories, on=bool(request["on"]))
        except (KeyError, TypeError, ValueError) as error:
            return {"error": f"not a switch of debug messages: {error!r}"}
        except ProbeError as error:
            return {"error": str(error)}
        return {"filters": self.filters(), "missing": self.missing()}

    def answer_messages(self, _: dict[str, Any]) -> dict[str, Any]:
        """Give the messages that nobody has taken yet, and what is on."""
        return {"messages": self.messages(), "filters": self.filters()}
