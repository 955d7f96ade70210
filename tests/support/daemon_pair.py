"""A whole LAC and LNS over loopback: real UDP, data planes in memory, a stand-in for pppd."""

import asyncio
import errno
import os

from l2tp.config.load import load_config
from l2tp.daemon.remains import Remains
from l2tp.daemon.serve import make_role
from l2tp.daemon.shell import Daemon
from l2tp.dataplane import MemoryDataPlane
from l2tp.kernel.udp import open_udp_socket
from l2tp.ppp.home import PppHome
from l2tp.protocol.codec import decode_message
from l2tp.protocol.errors import KernelError

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


async def answer_of(udp, kind):
    """The first message of that kind which comes, acknowledging nothing."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(DEADLINE_S):
        while True:
            data = await loop.sock_recv(udp, 2048)
            if isinstance(message := decode_message(data[12:]), kind):
                return message, udp.getpeername()


def run(scenario):
    asyncio.run(scenario())


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
