"""The control protocol: client against server, over a real Unix socket."""

import asyncio
import contextlib
import json
import socket
import threading

import pytest

from l2tp.config.toml_table import ConfigurationError
from l2tp.daemon.control import ControlClient, ControlError, WrongRequest
from l2tp.daemon.control_server import ControlServer, RequestError
from l2tp.log import EventLog
from l2tp.protocol.errors import L2tpError


async def _status(arguments):
    return {"role": "lac", "tunnels": []}


async def _hangup(arguments):
    raise RequestError(f"there is no tunnel {arguments['local_tunnel_id']}; there are: none")


async def _hello(arguments):
    if arguments["local_tunnel_id"] == 9:
        raise L2tpError("tunnel 9 is closed: no answer")
    return {"round_trip_s": 0.25} if arguments["local_tunnel_id"] == 7 else None


async def _reload(arguments):
    raise ConfigurationError(["config.toml:3: pool: is none"])


async def _call(arguments):
    return dict(arguments)


class Running:
    """A server in a thread of its own."""

    def __init__(self, folder):
        self.path = folder / "control.sock"
        self.folder = folder
        self.ready = threading.Event()
        self.thread = threading.Thread(target=lambda: asyncio.run(self._serve()))

    async def _stop(self, arguments):
        self.loop.call_soon(self.end.set)

    async def _serve(self):
        self.loop = asyncio.get_running_loop()
        self.end = asyncio.Event()
        self.log = EventLog(self.folder / "log.jsonl")
        operations = {
            "status": _status,
            "hangup": _hangup,
            "call": _call,
            "hello": _hello,
            "reload": _reload,
            "stop": self._stop,
        }
        server = ControlServer(self.path, operations, self.log)
        await server.start()
        self.ready.set()
        await self.end.wait()
        self.log.write("DaemonStopped")
        await server.close()
        self.log.close()

    def write(self, event, **fields):
        self.loop.call_soon_threadsafe(lambda: self.log.write(event, **fields))


@pytest.fixture
def server(tmp_path):
    running = Running(tmp_path)
    running.thread.start()
    assert running.ready.wait(20)
    yield running
    with contextlib.suppress(RuntimeError):
        running.loop.call_soon_threadsafe(running.end.set)
    running.thread.join(20)


@pytest.fixture
def client(server):
    with ControlClient(server.path, timeout_s=20) as client:
        yield client


def test_status(client):
    assert client.status() == {"role": "lac", "tunnels": []}
    assert client.status()["role"] == "lac"


def test_call_sends_only_what_is_said(client):
    sent = client.call("lns", user="alice")
    assert (sent["tunnel"], sent["user"]) == ("lns", "alice")
    assert not {"routes", "addresses"} & set(sent)


def test_a_hello_gives_the_round_trips_time(client):
    assert client.hello(7) == 0.25


def test_refusals_carry_the_daemons_words(client):
    with pytest.raises(WrongRequest, match="there is no tunnel 9; there are: none"):
        client.hangup(9)
    assert client.status()["role"] == "lac"


def test_what_failed_is_told_from_what_was_asked_for_wrongly(client):
    with pytest.raises(ControlError, match="tunnel 9 is closed") as caught:
        client.hello(9)
    assert not isinstance(caught.value, WrongRequest)
    with pytest.raises(WrongRequest, match="pool"):
        client.reload()


def test_events_follow_until_the_daemon_ends(server, client):
    with ControlClient(server.path, timeout_s=20) as other:
        events = client.events()
        server.write("ignored by nobody")
        first = next(events)
        other.stop()
        assert first["event"] == "ignored by nobody"
        assert [record["event"] for record in events] == ["DaemonStopped"]


def test_stop_returns_when_the_daemon_is_gone(server, client):
    client.stop()
    with pytest.raises(ControlError, match="no daemon answers"):
        ControlClient(server.path)


def test_the_socket_is_its_owners(server):
    assert server.path.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"nonsense", "one line of JSON"),
        (b"[1]", "a request is a JSON object"),
        (
            b'{"id": 3, "op": "dance"}',
            "use one of status, call, hangup, hello, events",
        ),
        (b'{"id": 3}', "unknown op None"),
        (b'{"id": 3, "op": ["x"]}', "unknown op"),
        (b'{"id": 3, "op": "\xe9"}', "one line of JSON: 'utf-8' codec can't decode"),
        (b"[" * 60_000, "one line of JSON: maximum recursion depth"),
        (b'{"id": %s}' % (b"9" * 5000), "one line of JSON: Exceeds the limit"),
        (b'{"id": 3, "x": "%s"}' % (b"a" * 70_000), "one line of at most 65536 octets"),
        (b"a" * 1_000_000, "one line of at most 65536 octets"),
        (b'{"id": 3, "op": "hello"}', "the daemon failed at it: KeyError('local_tunnel_id')"),
    ],
)
def test_bad_requests_are_answered(server, line, words):
    with socket.socket(socket.AF_UNIX) as raw:
        raw.settimeout(20)
        raw.connect(str(server.path))
        raw.sendall(line + b'\n{"id": 4, "op": "status"}\n')
        answers = raw.makefile()
        answer = json.loads(answers.readline())
        assert answer["ok"] is False
        assert words in answer["error"]
        # It costs the request, and not the connection.
        assert json.loads(answers.readline())["id"] == 4


def test_a_fault_of_ours_is_logged_with_its_trace(server, client):
    faults = []
    server.loop.set_exception_handler(lambda _, context: faults.append(context))
    with pytest.raises(ControlError, match=r"See the end of .*/log\.jsonl"):
        client._ask("hello")
    (fault,) = faults
    assert fault["message"] == "a request for 'hello' failed"
    assert isinstance(fault["exception"], KeyError)


def test_nobody_there(tmp_path):
    with pytest.raises(ControlError) as caught:
        ControlClient(tmp_path / "control.sock")
    assert "no daemon answers on" in str(caught.value)
    assert "By itself, as lac or lns: python3 -m l2tp ROLE --config" in str(caught.value)


def test_a_dead_daemons_socket_file_is_replaced(tmp_path):
    path = tmp_path / "control.sock"
    with socket.socket(socket.AF_UNIX) as old:
        old.bind(str(path))
    running = Running(tmp_path)
    running.thread.start()
    assert running.ready.wait(20)
    with ControlClient(path, timeout_s=20) as client:
        client.stop()
    running.thread.join(20)
    assert not path.exists()
