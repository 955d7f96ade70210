"""What is asked of a running QEMU through its monitor (QMP)."""

from __future__ import annotations

import asyncio
import shlex
import socket
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from qemu.qmp import Message, QMPClient, QMPError

from lab.errors import CannotRun

#: The capability that leaves memory which is a shared file out of the stream.
_MEMORY_STAYS = "x-ignore-shared"


def save(monitor: Path, state: Path, deadline_s: float) -> None:
    """Write the guest's device state to a file and end QEMU.

    The guest's memory is not written: it must be a shared file already. The guest is not stopped
    beforehand, because a guest that was saved stopped would also come back so. Raises CannotRun.
    """
    asyncio.run(_save(monitor, state, deadline_s))


def go_on(greeting: socket.socket, state: Path, deadline_s: float) -> None:
    """Let a QEMU that waits for it go on from a saved device state; return when its guest runs.

    Raises CannotRun when it does not.
    """
    asyncio.run(_go_on(greeting, state, deadline_s))


def read_status(monitor: Path, deadline_s: float) -> str:
    """Return QEMU's own word for what the guest does, such as ``running``. Raises CannotRun."""
    return asyncio.run(_status(monitor, deadline_s))


async def _save(monitor: Path, state: Path, deadline_s: float) -> None:
    async with _client(monitor, deadline_s) as client:
        await _switch_on(client, "events", _MEMORY_STAYS)
        with client.listener("MIGRATION") as events:
            uri = f"exec:cat >{shlex.quote(str(state))}"
            await client.execute("migrate", {"uri": uri})
            async for event in events:
                outcome = _migration_status(event)
                if outcome in ("failed", "cancelled"):
                    raise CannotRun(f"QEMU could not save the appliance's state: {outcome}")
                if outcome == "completed":
                    break
        with suppress(QMPError):  # QEMU may be gone before it answers
            await client.execute("quit")


async def _go_on(greeting: socket.socket, state: Path, deadline_s: float) -> None:
    async with _client(greeting, deadline_s) as client:
        await _switch_on(client, _MEMORY_STAYS)
        # What is sent to a guest that does not run yet is lost, and sent again only seconds later.
        with client.listener("RESUME") as resumed:
            uri = f"exec:cat {shlex.quote(str(state))}"
            await client.execute("migrate-incoming", {"uri": uri})
            await _first(client, resumed.get())


async def _first(client: QMPClient, event: Coroutine[Any, Any, Message]) -> None:
    """Wait for an event, or for the end of the connection, which is an error."""
    awaited = asyncio.ensure_future(event)
    ended = asyncio.ensure_future(client.runstate_changed())
    done, others = await asyncio.wait({awaited, ended}, return_when=asyncio.FIRST_COMPLETED)
    for other in others:
        other.cancel()
    if awaited not in done:
        raise CannotRun("QEMU ended when it read the saved state")


async def _switch_on(client: QMPClient, *capabilities: str) -> None:
    switches = [{"capability": name, "state": True} for name in capabilities]
    await client.execute("migrate-set-capabilities", {"capabilities": switches})


async def _status(monitor: Path, deadline_s: float) -> str:
    async with _client(monitor, deadline_s) as client:
        answer = await client.execute("query-status")
    return str(answer["status"]) if isinstance(answer, dict) else str(answer)


def _migration_status(event: Message) -> str:
    data = event["data"]
    return str(data["status"]) if isinstance(data, dict) else ""


@asynccontextmanager
async def _client(monitor: Path | socket.socket, deadline_s: float) -> AsyncIterator[QMPClient]:
    client = QMPClient("l2tp-lab")
    try:
        async with asyncio.timeout(deadline_s):
            await client.connect(str(monitor) if isinstance(monitor, Path) else monitor)
            yield client
    except (QMPError, OSError, EOFError, TimeoutError) as error:
        raise CannotRun(f"QEMU does not answer on its monitor: {error}") from error
    finally:
        with suppress(QMPError, OSError, EOFError):
            await client.disconnect()
