"""A whole LAC and LNS over loopback: real UDP, data planes in memory, a stand-in for pppd."""

import asyncio
import contextlib
import errno
import json
import os
import signal
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from l2tp.codec import encode_message
from l2tp.config import load_config
from l2tp.constants import ProxyAuthenType
from l2tp.control_server import RequestError
from l2tp.daemon import Daemon
from l2tp.dataplane import MemoryDataPlane
from l2tp.errors import KernelError, LocalProtocolError
from l2tp.header import encode_control
from l2tp.kernel.udp import open_udp_socket
from l2tp.messages import HELLO, OUR_VERSION, SCCRQ
from l2tp.ppp.home import PppHome
from l2tp.remains import Remains
from l2tp.serve import make_role
from l2tp.toml_table import ConfigurationError
from l2tp.values import Accm, CallErrors

DEADLINE_S = 60

# What a pppd does as far as a daemon can see: its scripts speak, and it stays until told to go.
PPPD = """\
#!/bin/sh
session=${2##*/}
session=${session%.options}
say() { printf "$1\\t$session\\tppp9\\t$2\\t$3\\t\\t\\t$4\\t\\t\\n" 1<>FIFO; }
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
        self.ports_are_shared = True

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

    def shares_ports(self):
        return self.ports_are_shared

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
        self.lac_text = self.lns_text = self.call_text = self.listen_text = ""

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

        plane = Plane()
        listeners = [listener] if listener else []
        remains = Remains(folder)
        remains.clear()
        return End(Daemon(config, home, make_role, plane, remains, listeners), plane)

    async def __aenter__(self):
        listener = open_udp_socket(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        ppp = "[ppp]\nipv6 = false\n"
        self.lns = self._end(
            "lns",
            f'{self.lns_text}[listen]\naddress = "127.0.0.1"\nport = {port}\n'
            f"{self.listen_text}{ppp}"
            f'local_ipv4 = "10.64.0.1"\npool = "{self.pool}"\n[[user]]\nname = "alice"\n',
            listener,
        )
        self.lac = self._end(
            "lac",
            f'{self.lac_text}{ppp}[[tunnel]]\nname = "lns"\nlocal = "127.0.0.1"\nlocal_port = 0\n'
            f'peer = "127.0.0.1"\npeer_port = {port}\nsecret = "lns"\n'
            + f'[[tunnel.call]]\nuser = "alice"\n{self.call_text}'
            * self.calls,
        )
        self.ends = (self.lac, self.lns)
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


@pytest.mark.rfc2661("5.0-frames")
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


@pytest.mark.rfc2661("9.5-proxy-off")
def test_a_caller_whom_the_lac_has_authenticated_is_authenticated_again(pair):
    proxy = {
        "proxy_authen_type": int(ProxyAuthenType.PAP),
        "proxy_authen_name": b"alice",
        "proxy_authen_id": 1,
        "proxy_authen_response": b"a",
    }

    async def scenario():
        async with pair:
            endpoint = pair.lac.daemon.endpoint
            place = endpoint.place_call

            def place_with_proxy(tunnel, now, call):
                return place(tunnel, now, replace(call, **proxy))

            endpoint.place_call = place_with_proxy
            await pair.lac.hear("SessionReady")
            (iccn,) = [r for r in pair.lns.heard("MessageReceived") if r["name"] == "ICCN"]
            assert iccn["message"]["proxy_authen_type"] == int(ProxyAuthenType.PAP)
            (file,) = (pair.folder / "lns" / "ppp" / "sessions").iterdir()
            assert {"auth", "require-chap"} <= set(file.read_text().splitlines())
            _, session = await pair.lns.only_session()
            shown = {name: session["call"][name] for name in proxy}
            assert shown == {
                **proxy,
                "proxy_authen_name": b"alice".hex(),
                "proxy_authen_response": "(hidden)",
            }

    run(scenario)


def test_status_shows_what_the_other_end_said_of_the_line(pair):
    errors = CallErrors(1, 2, 0, 0, 0, 0)
    accm = Accm(send=0xA0000, receive=0)

    async def scenario():
        async with pair:
            await pair.lac.hear("SessionReady")
            await pair.lns.hear("SessionReady")
            for end, tell, what in (
                (pair.lac, "report_errors", errors),
                (pair.lns, "set_link_info", accm),
            ):
                tunnel, session = await end.only_session()
                ids = tunnel["local_tunnel_id"], session["local_session_id"]
                daemon = end.daemon
                getattr(daemon.endpoint, tell)(*ids, daemon.now(), what)
                daemon.transact()
            await pair.lns.hear("CallErrorsReported")
            await pair.lac.hear("LinkInfoReceived")
            for end in pair.ends:
                _, session = await end.only_session()
                assert session["call_errors"] == errors._asdict()
                assert session["accm"] == {"send": 0xA0000, "receive": 0}

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
            assert (closed["result_code"], closed["message"]) == (
                2,
                "pppd was ended by signal 9 (SIGKILL)",
            )

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
            last = (pair.folder / "lns" / "kernel.jsonl").read_text().splitlines()[-1]
            assert json.loads(last) == {"remove": closed["local_tunnel_id"]}
        assert pair.lac.plane.open_tunnels == {}
        for pid in pids:
            with pytest.raises(ProcessLookupError):
                os.kill(pid, 0)
        for role in ("lac", "lns"):
            assert list((pair.folder / role / "ppp" / "sessions").iterdir()) == []
            assert not (pair.folder / role / "control.sock").exists()
            assert not (pair.folder / role / "kernel.jsonl").exists()

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


def test_an_lns_that_names_no_number_is_told_whom_to_ask(pair):
    async def scenario():
        async with pair:
            with pytest.raises(RequestError, match="ask the LAC's control socket"):
                await pair.lns.ask("call", user="alice")

    run(scenario)


LINE = '[[line]]\nnumber = "555"\nuser = "alice"\n'


def test_an_lns_has_its_lac_dial(pair):
    pair.calls = 0
    pair.lac_text = LINE + "sequencing = true\n"

    async def scenario():
        async with pair:
            await pair.lns.hear("TunnelEstablished")
            asked = await pair.lns.ask("call", number="555")
            await pair.lac.hear("SessionReady")
            await pair.lns.hear("SessionReady")
            for end in (pair.lac, pair.lns):
                _, session = await end.only_session()
                assert (session["state"], session["user"]) == ("established", "alice")
                assert session["data"]["send_sequence"]
            assert session["local_session_id"] == asked["local_session_id"]
            # The LAC ends PPP itself, as the called party: it is given the address.
            (options,) = (pair.folder / "lns" / "ppp" / "sessions").iterdir()
            assert "10.64.0.1:10.64.0.2" in options.read_text()
            await pair.lns.ask("hangup", **asked)
            assert (await pair.lac.hear("SessionClosed"))["by_peer"]
            assert not pair.lac.heard("RedialPlanned")

    run(scenario)


def test_a_number_that_no_line_has(pair):
    pair.calls = 0
    pair.lac_text = LINE

    async def scenario():
        async with pair:
            await pair.lns.hear("TunnelEstablished")
            await pair.lns.ask("call", number="999", tunnel="lac")
            closed = await pair.lns.hear("SessionClosed")
            assert (closed["result_code"], closed["message"]) == (6, "no such number")
            with pytest.raises(RequestError, match=r"open are \d+ \(lac\)"):
                await pair.lns.ask("call", number="999", tunnel="nobody")

    run(scenario)


def test_a_hello_asks_for_a_sign_of_life(pair):
    async def scenario():
        async with pair:
            await pair.lac.hear("SessionReady")
            tunnel, _ = await pair.lac.only_session()
            answer = await pair.lac.ask("hello", local_tunnel_id=tunnel["local_tunnel_id"])
            assert 0 < answer["round_trip_s"] < DEADLINE_S
            assert "HELLO" in [one["name"] for one in pair.lns.heard("MessageReceived")]
            with pytest.raises(RequestError, match="there is no tunnel"):
                await pair.lac.ask("hello", local_tunnel_id=0)
            await pair.lac.ask("hangup", local_tunnel_id=tunnel["local_tunnel_id"])
            with pytest.raises(LocalProtocolError, match="only an established one says HELLO"):
                await pair.lac.ask("hello", local_tunnel_id=tunnel["local_tunnel_id"])

    run(scenario)


@pytest.mark.rfc2661("4.4.4-sequencing", "5.4-required")
def test_a_call_that_requires_numbers_is_numbered_at_both_ends(pair):
    pair.call_text = "sequencing = true\n"

    async def scenario():
        async with pair:
            await pair.lac.hear("SessionReady")
            await pair.lns.hear("SessionReady")
            for end in (pair.lac, pair.lns):
                _, session = await end.only_session()
                assert session["data"]["send_sequence"]
                assert session["data"]["receive_sequence"]
                (tunnel,) = end.plane._tunnels.values()
                (kernel,) = tunnel.sessions.values()
                assert (kernel.options.send_sequence, kernel.options.receive_sequence) == (1, 1)
            (file,) = (pair.folder / "lac" / "ppp" / "sessions").iterdir()
            assert {"pppol2tp_send_seq", "pppol2tp_recv_seq"} <= set(file.read_text().split())
            await pair.lac.ask("call", sequencing=False)
            await pair.lac.hear("SessionReady", 2)
            tunnel = (await pair.lac.ask("status"))["tunnels"][0]
            plain = tunnel["sessions"][1]
            assert not plain["data"]["send_sequence"]

    run(scenario)


def test_an_lns_may_answer_from_a_port_of_its_own(pair):
    pair.listen_text = "answer_port = 0\n"

    async def scenario():
        async with pair:
            await pair.lac.hear("SessionReady")
            await pair.lns.hear("SessionReady")
            (moved,) = pair.lac.heard("PeerAddressChanged")
            tunnel, _ = await pair.lac.only_session()
            at_lns, _ = await pair.lns.only_session()
            assert tunnel["peer"] == at_lns["local"] == moved["peer"] != moved["previous"]
            (listening,) = (await pair.lns.ask("status"))["listening"]
            assert moved["previous"] == listening
            # The last words come from that port too: nothing else would reach the LAC's socket.
            await pair.lns.ask("hangup", local_tunnel_id=at_lns["local_tunnel_id"])
            assert (await pair.lac.hear("TunnelClosed"))["by_peer"]

    run(scenario)


def test_a_lost_call_is_placed_again_and_one_hung_up_is_not(pair):
    pair.call_text = "redial = true\n"
    pair.lac_text = "[redial]\nfirst_s = 0.1\n"

    async def scenario():
        async with pair:
            await pair.lac.hear("SessionReady")
            await pair.lns.hear("SessionReady")
            tunnel, session = await pair.lns.only_session()
            ids = {"local_tunnel_id": tunnel["local_tunnel_id"]}
            await pair.lns.ask("hangup", **ids, local_session_id=session["local_session_id"])
            await pair.lac.hear("SessionReady", 2)
            assert [one["attempt"] for one in pair.lac.heard("RedialPlanned")] == [1]
            # With its tunnel, the same: both are made anew.
            await pair.lns.ask("hangup", **ids)
            await pair.lac.hear("SessionReady", 3)
            assert [one["attempt"] for one in pair.lac.heard("RedialPlanned")] == [1, 1]
            open_tunnel = (await pair.lac.ask("status"))["tunnels"][-1]
            await pair.lac.ask("hangup", local_tunnel_id=open_tunnel["local_tunnel_id"])
            assert len(pair.lac.heard("RedialPlanned")) == 2

    run(scenario)


def test_redial_waits_longer_each_time_and_gives_up(pair):
    pair.call_text = "redial = true\n"
    pair.lac_text = "[redial]\nfirst_s = 0.1\nattempts = 2\n"
    pair.pppd["lac"] = "#!/bin/sh\nexit 2\n"

    async def scenario():
        async with pair:
            await pair.lac.hear("RedialGivenUp")
            planned = pair.lac.heard("RedialPlanned")
            assert [(one["attempt"], one["delay_s"]) for one in planned] == [(1, 0.1), (2, 0.2)]

    run(scenario)


def test_why_a_tunnel_ended_is_told_when_nothing_else_is_left_of_it(pair):
    pair.lac_text = "[protocol]\nretransmission_initial_s = 0.05\nmaximum_retransmissions = 1\n"

    async def scenario():
        async with pair:
            await pair.lac.hear("SessionReady")
            await pair.lns.hear("SessionReady")
            tunnel, _ = await pair.lac.only_session()
            pair.lns.task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await pair.lns.task
            with contextlib.suppress(RequestError, LocalProtocolError):
                await pair.lac.ask("hello", local_tunnel_id=tunnel["local_tunnel_id"])
            await pair.lac.hear("TunnelReleased")
            status = await pair.lac.ask("status")
            assert status["tunnels"] == []
            (ended,) = status["ended"]
            assert ended["local_tunnel_id"] == tunnel["local_tunnel_id"]
            assert "no answer from" in ended["cause"]
            pair.lns.task = asyncio.get_running_loop().create_task(asyncio.sleep(0))

    run(scenario)


def test_reload_changes_what_is_new_and_leaves_what_is_live(pair):
    async def scenario():
        async with pair:
            await pair.lac.hear("SessionReady")
            await pair.lns.hear("SessionReady")
            before = [(await end.only_session())[1]["ppp"]["pid"] for end in (pair.lac, pair.lns)]
            assert await pair.lac.ask("reload") == {"changed": [], "needs_restart": []}
            secrets = pair.folder / "lac" / "secrets.toml"
            secrets.write_text(SECRETS + 'bob = "b"\n')
            config = pair.folder / "lac" / "config.toml"
            config.write_text(
                config.read_text().replace("[ppp]", "[ppp]\nmtu = 1400")
                + '[[tunnel.call]]\nuser = "bob"\n'
            )
            changed = (await pair.lac.ask("reload"))["changed"]
            assert changed == ["ppp", "credentials", "tunnels"]
            await pair.lac.hear("SessionReady", 2)
            (tunnel,) = (await pair.lac.ask("status"))["tunnels"]
            assert [one["user"] for one in tunnel["sessions"]] == ["alice", "alice"]
            assert '"bob" * "b" *' in (pair.folder / "lac/ppp/chap-secrets").read_text()
            options = [f.read_text() for f in (pair.folder / "lac/ppp/sessions").iterdir()]
            assert sorted("mtu 1400" in text for text in options) == [False, True]
            assert 'name "bob"' in next(text for text in options if "mtu 1400" in text)
            # Both daemons are this process; the LAC was the last to ask for the signal.
            os.kill(os.getpid(), signal.SIGHUP)
            await pair.lac.hear("Reloaded", 3)
            after = [(await end.ask("status"))["tunnels"][0]["sessions"][0] for end in pair.ends]
            assert [session["ppp"]["pid"] for session in after] == before

    run(scenario)


def test_a_reload_tells_every_mistake_and_changes_nothing(pair):
    async def scenario():
        async with pair:
            await pair.lac.hear("SessionReady")
            config = pair.folder / "lac" / "config.toml"
            good = config.read_text()
            config.write_text(
                good.replace("[ppp]", "[ppp]\nmtu = 7").replace('"alice"', '"nobody"')
            )
            with pytest.raises(ConfigurationError) as caught:
                await pair.lac.ask("reload")
            assert [line.partition(": ")[2] for line in caught.value.problems] == [
                "ppp.mtu: 7 is not from 128 to 16384",
                'tunnel[1].call[1].user: there is no "nobody" in [users] of the secrets file',
            ]
            assert len(pair.lac.heard("ReloadFailed")[0]["problems"]) == 2
            assert pair.lac.daemon.config.ppp.mtu == 1458
            moved = good.replace("[ppp]", '[[listen]]\naddress = "127.0.0.1"\nport = 9\n[ppp]')
            config.write_text(moved)
            answer = await pair.lac.ask("reload")
            assert answer["needs_restart"] == ["listen"]
            assert not pair.lac.daemon.config.listen

    run(scenario)


TWO = """[[tunnel]]
name = "two"
local = "127.0.0.1"
local_port = {port}
peer = "127.0.0.1"
peer_port = {peer}
secret = "lns"
"""


def add_tunnel(pair, tunnel):
    """Configure a second tunnel between the very same addresses and ports as an open one."""
    port, peer = (tunnel[end].rpartition(":")[2] for end in ("local", "peer"))
    config = pair.folder / "lac" / "config.toml"
    config.write_text(config.read_text() + TWO.format(port=port, peer=peer))


def test_two_tunnels_with_the_same_ports(pair):
    async def scenario():
        async with pair:
            await pair.lac.hear("SessionReady")
            first, _ = await pair.lac.only_session()
            add_tunnel(pair, first)
            await pair.lac.ask("reload")
            await pair.lac.hear("TunnelEstablished", 2)
            await pair.lac.ask("call", tunnel="two", user="alice")
            await pair.lac.hear("SessionReady", 2)
            one, two = (await pair.lac.ask("status"))["tunnels"]
            assert [one["name"], two["name"]] == ["lns", "two"]
            assert (one["local"], one["peer"]) == (two["local"], two["peer"])
            # Either socket may get what is for the other: both control connections end in order.
            await pair.lac.ask("hangup", local_tunnel_id=one["local_tunnel_id"])
            await pair.lac.ask("hangup", local_tunnel_id=two["local_tunnel_id"])
            await pair.lns.hear("TunnelClosed", 2)

    run(scenario)


def test_a_kernel_that_cannot_tell_them_apart_is_named(pair):
    async def scenario():
        async with pair:
            await pair.lac.hear("SessionReady")
            first, _ = await pair.lac.only_session()
            add_tunnel(pair, first)
            pair.lac.plane.ports_are_shared = False
            await pair.lac.ask("reload")
            (failed,) = pair.lac.heard("DialFailed")
            assert "cannot tell their data apart" in failed["cause"]
            assert failed["cause"].endswith('Set local_port = 0 in the [[tunnel]] named "two"')
            # As the answerer it helps itself: RFC 2661 lets it answer from another port.
            pair.lac.plane.ports_are_shared = True
            pair.lns.plane.ports_are_shared = False
            with pytest.raises(RequestError, match="no call configured"):
                await pair.lac.ask("call", tunnel="two")
            await pair.lac.ask("call", tunnel="two", user="alice")
            await pair.lac.hear("SessionReady", 2)
            one, two = (await pair.lac.ask("status"))["tunnels"]
            assert (one["local"], one["peer"] != two["peer"]) == (two["local"], True)

    run(scenario)


def test_a_daemon_that_is_stopping_takes_no_tunnel(pair):
    # The LNS's pppd does not end by itself, so that there is time to knock.
    pair.pppd["lns"] = PPPD.replace("exit 5", ":")
    pair.lns_text = "ppp_timeout_s = 5\nstop_timeout_s = 30\n"

    async def scenario():
        async with pair:
            await pair.lac.hear("SessionReady")
            await pair.lns.hear("SessionReady")
            first, _ = await pair.lac.only_session()
            pair.lns.daemon.stop()
            add_tunnel(pair, {**first, "local": "127.0.0.1:0"})
            await pair.lac.ask("reload")
            closed = await pair.lac.hear("TunnelClosed")
            assert (closed["by_peer"], closed["result_code"]) == (True, 6)
            assert closed["local_tunnel_id"] != first["local_tunnel_id"]

    run(scenario)


def open_descriptors():
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_a_flood_of_requests_leaves_the_live_session_alone(pair):
    request = encode_message(
        SCCRQ(
            protocol_version=OUR_VERSION,
            framing_capabilities=3,
            host_name="flood",
            assigned_tunnel_id=1,
        )
    )

    async def scenario():
        async with pair:
            await pair.lac.hear("SessionReady")
            await pair.lns.hear("SessionReady")
            tunnel, _ = await pair.lac.only_session()
            port = int(tunnel["peer"].rpartition(":")[2])
            at_lns, _ = await pair.lns.only_session()
            hello = encode_control(at_lns["local_tunnel_id"], 0, 9, 9, encode_message(HELLO()))
            descriptors = open_descriptors()
            for number in range(2, 42):
                # Each host asks for many tunnels, from ever new ports.
                for _ in range(30):
                    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
                        udp.bind((f"127.0.0.{number}", 0))
                        udp.sendto(encode_control(0, 0, 0, 0, request), ("127.0.0.1", port))
                        if number == 2:
                            udp.sendto(hello, ("127.0.0.1", port))
                await asyncio.sleep(0)
            await pair.lac.ask("call", user="alice")
            await pair.lac.hear("SessionReady", 2)
            status = await pair.lns.ask("status")
            dropped = status["dropped"]
            assert dropped["too-many-half-open-tunnels"] > 900
            assert len(status["tunnels"]) <= 1 + 128
            assert open_descriptors() < descriptors + 128 + 20
            (live,) = [one for one in status["tunnels"] if one["state"] == "established"]
            assert len(live["sessions"]) == 2
            assert live["dropped"]["wrong-source"] == dropped["wrong-source"] > 20
            assert len(pair.lns.heard("DatagramDropped")) <= 3 * 20

    run(scenario)
