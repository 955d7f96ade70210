"""A whole LAC and LNS over loopback: real UDP, data planes in memory, a stand-in for pppd."""

import asyncio
import contextlib
import errno
import os
import signal

import pytest

from l2tp.config import load_config
from l2tp.control_server import RequestError
from l2tp.daemon import Daemon
from l2tp.dataplane import MemoryDataPlane
from l2tp.errors import KernelError
from l2tp.kernel.udp import open_udp_socket
from l2tp.lac import Lac
from l2tp.lns import Lns
from l2tp.ppp.home import PppHome

DEADLINE_S = 60

# What a pppd does as far as a daemon can see: its scripts speak, and it stays until told to go.
PPPD = """\
#!/bin/sh
session=${2##*/}
session=${session%.options}
say() { printf "$1\\t$session\\tppp9\\t$2\\t$3\\t\\t\\t$4\\n" 1<>FIFO; }
trap 'say ip-down "" "" alice; exit 5' TERM
echo "Using interface ppp9"
echo 'sent [CHAP Response id=0x1c <0d57e121ce>, name = "alice"]'
say auth-up "" "" alice
say ip-up 10.64.0.1 10.64.0.2 alice
while :; do read line 0<>IDLE; done
"""
SECRETS = '[tunnels]\nlns = "t"\nlac = "t"\n[users]\nalice = "a"\n'


class Socket:
    def __init__(self, fd):
        self._fd = fd

    def fileno(self):
        return self._fd

    def channel(self):
        return 1


class Plane(MemoryDataPlane):
    """The memory's data plane, with descriptors that a process can inherit."""

    def __init__(self):
        super().__init__()
        self.open_tunnels = {}
        self.null = os.open("/dev/null", os.O_RDWR)
        self.refuse_sessions = False

    def create_tunnel(self, udp_fd, local_tunnel_id, peer_tunnel_id, peer):
        super().create_tunnel(udp_fd, local_tunnel_id, peer_tunnel_id, peer)
        self.open_tunnels[local_tunnel_id] = set()

    def create_session(self, local_tunnel_id, local_session_id, peer_session_id, options):
        if self.refuse_sessions:
            raise KernelError("open session", errno.ENOENT, cure="modprobe l2tp_ppp")
        super().create_session(local_tunnel_id, local_session_id, peer_session_id, options)
        self.open_tunnels[local_tunnel_id].add(local_session_id)

    def close_session(self, local_tunnel_id, local_session_id):
        super().close_session(local_tunnel_id, local_session_id)
        self.open_tunnels[local_tunnel_id].discard(local_session_id)

    def close_tunnel(self, local_tunnel_id):
        super().close_tunnel(local_tunnel_id)
        self.open_tunnels.pop(local_tunnel_id, None)

    def session(self, local_tunnel_id, local_session_id):
        return Socket(self.null)

    def has_tunnel(self, local_tunnel_id):
        return local_tunnel_id in self.open_tunnels


class End:
    """One daemon and what it logged."""

    def __init__(self, daemon, plane):
        self.daemon = daemon
        self.plane = plane
        self.records = []
        self.news = asyncio.Event()
        daemon.log.listen(self._hear)
        self.task = asyncio.get_running_loop().create_task(daemon.run())

    def _hear(self, record):
        self.records.append(record)
        self.news.set()

    def heard(self, event):
        return [record for record in self.records if record["event"] == event]

    async def hear(self, event, count=1):
        async with asyncio.timeout(DEADLINE_S):
            while len(self.heard(event)) < count:
                self.news.clear()
                await self.news.wait()
        return self.heard(event)[count - 1]

    def ask(self, operation, **arguments):
        return self.daemon._operations.table()[operation](arguments)

    async def only_session(self):
        status = await self.ask("status")
        (tunnel,) = status["tunnels"]
        (session,) = tunnel["sessions"]
        return tunnel, session


class Pair:
    def __init__(self, folder):
        self.folder = folder
        self.pppd = {"lac": PPPD, "lns": PPPD}
        self.pool = "10.64.0.0/24"
        self.calls = 1

    def _end(self, role, text, listener=None):
        folder = self.folder / role
        folder.mkdir()
        fifo = folder / "ppp" / "events"
        idle = folder / "idle"
        os.mkfifo(idle)
        pppd = folder / "pppd"
        if self.pppd[role] is not None:
            script = self.pppd[role].replace("FIFO", str(fifo)).replace("IDLE", str(idle))
            pppd.write_text(script)
            pppd.chmod(0o700)
        (folder / "config.toml").write_text(f'pppd = "{pppd}"\n{text}')
        (folder / "secrets.toml").write_text(SECRETS)
        (folder / "secrets.toml").chmod(0o600)
        config = load_config(folder / "config.toml", role)
        home = PppHome(folder / "ppp")
        home.create(config.credentials.users)

        def make_role(daemon):
            if listener:
                return Lns(daemon, config, config.lns, listener)
            return Lac(daemon, config)

        plane = Plane()
        return End(Daemon(config, home, make_role, plane), plane)

    async def __aenter__(self):
        listener = open_udp_socket(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        ppp = "[ppp]\nipv6 = false\n"
        self.lns = self._end(
            "lns",
            f'[listen]\naddress = "127.0.0.1"\nport = {port}\n{ppp}'
            f'local_ipv4 = "10.64.0.1"\npool = "{self.pool}"\n[[user]]\nname = "alice"\n',
            listener,
        )
        self.lac = self._end(
            "lac",
            f'{ppp}[[tunnel]]\nname = "lns"\nlocal = "127.0.0.1"\nlocal_port = 0\n'
            f'peer = "127.0.0.1"\npeer_port = {port}\nsecret = "lns"\n'
            + '[[tunnel.call]]\nuser = "alice"\n'
            * self.calls,
        )
        return self

    async def __aexit__(self, *error):
        for end in (self.lac, self.lns):
            end.daemon.stop()
        async with asyncio.timeout(DEADLINE_S):
            await asyncio.gather(self.lac.task, self.lns.task)
        for end in (self.lac, self.lns):
            os.close(end.plane.null)


@pytest.fixture
def pair(tmp_path):
    return Pair(tmp_path)


def run(scenario):
    asyncio.run(scenario())


def test_a_session_comes_up_at_both_ends(pair):
    async def scenario():
        async with pair:
            await pair.lac.hear("SessionReady")
            await pair.lns.hear("SessionReady")
            lac_tunnel, lac = await pair.lac.only_session()
            lns_tunnel, lns = await pair.lns.only_session()
            assert lac_tunnel["peer_tunnel_id"] == lns_tunnel["local_tunnel_id"]
            assert lns_tunnel["peer_tunnel_id"] == lac_tunnel["local_tunnel_id"]
            assert lac["peer_session_id"] == lns["local_session_id"]
            assert lns["peer_session_id"] == lac["local_session_id"]
            assert {lac["state"], lns["state"]} == {"established"}
            assert lac["user"] == lns["user"] == "alice"
            assert lns["ppp"]["phase"] == "running"
            assert lns["ppp"]["ready"]
            assert lac_tunnel["local"] == lns_tunnel["peer"]
            assert lac["kernel"]["tx_packets"] == 0
            options = pair.folder / "lns" / "ppp" / "sessions"
            (file,) = options.iterdir()
            assert "10.64.0.1:10.64.0.2" in file.read_text()

    run(scenario)


def test_no_secret_in_any_log(pair):
    async def scenario():
        async with pair:
            await pair.lac.hear("SessionReady")

    run(scenario)
    for role in ("lac", "lns"):
        text = (pair.folder / role / "log.jsonl").read_text()
        assert '"challenge_response": "(hidden)"' in text
        assert "[CHAP Response id=0x1c <hidden>, name" in text
        assert "0d57e121ce" not in text


def test_ppp_ends_before_the_cdn_and_its_socket_before_that(pair):
    async def scenario():
        async with pair:
            await pair.lac.hear("SessionReady")
            await pair.lns.hear("SessionReady")
            tunnel, session = await pair.lac.only_session()
            ids = tunnel["local_tunnel_id"], session["local_session_id"]
            await pair.lac.ask("hangup", local_tunnel_id=ids[0], local_session_id=ids[1])
            names = [record["event"] for record in pair.lac.records]
            cdn = next(
                number
                for number, record in enumerate(pair.lac.records)
                if record.get("name") == "CDN"
            )
            assert names.index("PppDown") < names.index("PppExited") < cdn
            assert pair.lac.heard("PppExited")[0]["cause"] == "PPP was ended on request"
            assert pair.lac.plane.open_tunnels == {ids[0]: set()}
            closed = await pair.lns.hear("SessionClosed")
            assert (closed["by_peer"], closed["result_code"]) == (True, 3)
            await pair.lns.hear("PppExited")
            assert list(pair.lns.plane.open_tunnels.values()) == [set()]
            for end in (pair.lac, pair.lns):
                (tunnel,) = (await end.ask("status"))["tunnels"]
                assert (tunnel["state"], tunnel["sessions"]) == ("established", [])

    run(scenario)


def test_an_address_goes_back_to_the_pool(pair):
    pair.pool = "10.64.0.0/30"

    async def scenario():
        async with pair:
            await pair.lac.hear("SessionReady")
            await pair.lns.hear("SessionReady")
            second = await pair.lac.ask("call", user="alice")
            refused = await pair.lac.hear("SessionClosed")
            assert refused["local_session_id"] == second["local_session_id"]
            assert (refused["result_code"], refused["error_code"]) == (4, 4)
            assert "no free address" in refused["message"]
            tunnel, session = await pair.lac.only_session()
            ids = {"local_tunnel_id": tunnel["local_tunnel_id"]}
            await pair.lac.ask("hangup", **ids, local_session_id=session["local_session_id"])
            await pair.lns.hear("PppExited")
            await pair.lac.ask("call", user="alice")
            await pair.lac.hear("SessionReady", 2)

    run(scenario)


def test_a_pppd_that_dies_takes_its_session_along(pair):
    async def scenario():
        async with pair:
            await pair.lac.hear("SessionReady")
            await pair.lns.hear("SessionReady")
            _, session = await pair.lns.only_session()
            os.kill(session["ppp"]["pid"], signal.SIGKILL)
            closed = await pair.lac.hear("SessionClosed")
            assert closed["by_peer"]
            assert (closed["result_code"], closed["message"]) == (1, "pppd was ended by signal 9")

    run(scenario)


def test_a_pppd_that_refuses_says_why(pair):
    pair.pppd["lac"] = "#!/bin/sh\necho 'unrecognized option'\nexit 2\n"

    async def scenario():
        async with pair:
            closed = await pair.lns.hear("SessionClosed")
            assert (closed["result_code"], closed["message"]) == (2, "pppd refused its options")
            assert pair.lac.heard("PppdSaid")[0]["line"] == "unrecognized option"

    run(scenario)


def test_no_pppd_at_all(pair):
    pair.pppd["lac"] = None

    async def scenario():
        async with pair:
            closed = await pair.lns.hear("SessionClosed")
            assert "Install it: apt-get install ppp" in closed["message"]

    run(scenario)


def test_a_kernel_that_refuses_refuses_the_call(pair):
    async def scenario():
        async with pair:
            pair.lns.plane.refuse_sessions = True
            closed = await pair.lac.hear("SessionClosed")
            assert (closed["result_code"], closed["error_code"]) == (2, 4)
            failed = await pair.lns.hear("DataPlaneFailed")
            assert "modprobe l2tp_ppp" in failed["cause"]

    run(scenario)


def test_stopping_leaves_nothing(pair):
    pair.calls = 3

    async def scenario():
        async with pair:
            await pair.lac.hear("SessionReady", 3)
            await pair.lns.hear("SessionReady", 3)
            pids = [
                s["ppp"]["pid"] for s in (await pair.lac.ask("status"))["tunnels"][0]["sessions"]
            ]
            assert len(set(pids)) == 3
            pair.lac.daemon.stop()
            closed = await pair.lns.hear("TunnelClosed")
            assert (closed["by_peer"], closed["result_code"]) == (True, 6)
            await pair.lns.hear("TunnelLeftKernel")
            assert pair.lns.plane.open_tunnels == {}
        assert pair.lac.plane.open_tunnels == {}
        for pid in pids:
            with pytest.raises(ProcessLookupError):
                os.kill(pid, 0)
        for role in ("lac", "lns"):
            assert list((pair.folder / role / "ppp" / "sessions").iterdir()) == []
            assert not (pair.folder / role / "control.sock").exists()

    run(scenario)


def test_a_peer_that_nobody_is_holds_nobody_up(pair):
    async def scenario():
        async with pair:
            await pair.lac.hear("SessionReady")
            await pair.lns.hear("SessionReady")
            pair.lns.task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await pair.lns.task
            pair.lac.daemon.stop()
            async with asyncio.timeout(DEADLINE_S):
                await pair.lac.task
            assert not pair.lac.heard("StopTimedOut")
            assert "Connection refused" in pair.lac.heard("NetworkError")[0]["text"]
            pair.lns.task = asyncio.get_running_loop().create_task(asyncio.sleep(0))

    run(scenario)


@pytest.mark.parametrize(
    ("operation", "arguments", "words"),
    [
        ("hangup", {"local_tunnel_id": 0}, "there is no tunnel of that local_tunnel_id"),
        ("hangup", {"local_tunnel_id": [1]}, "local_tunnel_id must be a number"),
        ("call", {"tunnel": "x"}, "the configuration has lns"),
        ("call", {"user": "mallory"}, "there is no secret of user 'mallory'"),
        ("call", {"routes": ["10.0.0.0/8 dev lo"]}, "is not a prefix"),
        ("call", {"routes": ["127.0.0.0/8"]}, "the tunnel would run through itself"),
        ("call", {"addresses": [7]}, "is no text"),
        ("call", {"addresses": "2001:db8::1/128"}, "must be a list of texts"),
    ],
)
def test_what_cannot_be_done_is_refused_in_words(pair, operation, arguments, words):
    async def scenario():
        async with pair:
            with pytest.raises(RequestError, match=words):
                await pair.lac.ask(operation, **arguments)

    run(scenario)


def test_an_lns_places_no_calls(pair):
    async def scenario():
        async with pair:
            with pytest.raises(RequestError, match="ask the LAC's control socket"):
                await pair.lns.ask("call", user="alice")

    run(scenario)
