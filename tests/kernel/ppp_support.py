"""What the tests of PPP ask of a network: settings in [ppp], what daemons logged, one session."""

from __future__ import annotations

from contextlib import contextmanager

from tests.kernel.daemon_support import Network, until


def set_ppp(network, lac="", lns=""):
    """Add lines to [ppp] of the two configurations."""
    if lns:
        network.edit("lns", "[ppp]\n", f"[ppp]\n{lns}\n")
    if lac:
        path = network.folder / "lac" / "config.toml"
        path.write_text(f"[ppp]\n{lac}\n{path.read_text()}")


@contextmanager
def network(folder, lac="", lns="", user="", version=4):
    with Network(folder, version) as made:
        set_ppp(made, lac, lns)
        if user:
            made.edit("lns", 'name = "alice"\n', f'name = "alice"\n{user}\n')
        yield made


def wait_for(network, role, event):
    found = []

    def look():
        found[:] = [record for record in network.log(role) if record["event"] == event]
        return bool(found)

    network.client(role).close()
    until(look, f"{event} at the {role}")
    return found[0]


def session(network, role):
    with network.client(role) as client:
        (tunnel,) = client.status()["tunnels"]
    (found,) = tunnel["sessions"]
    return found


def link(network, role, *words):
    return network.run("ip", "-n", network.names[role], *words)


def said(network, role):
    return [record["line"] for record in network.log(role) if record["event"] == "PppdSaid"]
