from dataclasses import replace
from pathlib import Path

import pytest

from lab.errors import UsageError
from lab.network.plan import File
from lab.peers.start_xl2tpd import argv
from lab.peers.xl2tpd import Call, Service, Xl2tpd, peer_argv, peer_files

HOME = Path("/run/l2tp-lab/lab/lns")
LNS = Xl2tpd(
    host_name="lns",
    address="192.0.2.2",
    service=Service("10.64.0.1", "10.64.0.2", "10.64.0.9"),
    secrets={"lac": "between us"},
    users={"alice": 'won"der'},
)
LAC = Xl2tpd(
    host_name="lac",
    address="192.0.2.1",
    calls=(Call("one", "192.0.2.2", "alice"), Call("two", "192.0.2.2", "bob", autodial=False)),
)


def written(peer: Xl2tpd) -> dict[str, File]:
    return {
        str(Path(step.path).relative_to(HOME)): step
        for step in peer_files(peer, HOME)
        if isinstance(step, File)
    }


def sections(peer: Xl2tpd) -> dict[str, dict[str, str]]:
    """Read the configuration the way xl2tpd does: sections, and words around a “=”."""
    found: dict[str, dict[str, str]] = {}
    for line in written(peer)["xl2tpd.conf"].content.splitlines():
        if line.startswith("["):
            current = found.setdefault(line.strip("[]"), {})
        elif line and not line.startswith(";"):
            key, _, value = line.partition(" = ")
            assert value, line
            current[key] = value
    return found


def test_an_lns_has_a_pool_and_challenges():
    config = sections(LNS)
    assert set(config) == {"global", "lns default"}
    assert config["global"]["listen-addr"] == "192.0.2.2"
    service = config["lns default"]
    assert service["ip range"] == "10.64.0.2-10.64.0.9"
    assert service["challenge"] == "yes"
    assert service["hidden bit"] == "no"


def test_a_lac_has_a_section_for_each_call():
    config = sections(LAC)
    assert set(config) == {"global", "lac one", "lac two"}
    assert config["lac one"]["lns"] == "192.0.2.2"
    assert [config[f"lac {name}"]["autodial"] for name in ("one", "two")] == ["yes", "no"]
    assert config["lac two"]["name"] == "bob"
    assert config["lac one"]["challenge"] == "no"


def test_only_the_end_that_is_called_authenticates_the_other():
    assert "noauth" in written(LAC)["ppp/xl2tpd"].content
    assert "noauth" not in written(LNS)["ppp/xl2tpd"].content


def test_secrets_are_in_files_for_root_alone_and_nowhere_else():
    files = written(LNS)
    for name, file in files.items():
        is_secret = "between us" in file.content or "won" in file.content
        assert is_secret == (file.mode == 0o600), name
    assert files["l2tp-secrets"].content == "lns lac between us\n"
    assert files["ppp/chap-secrets"].content == '"alice" * "won\\"der" *\n'
    assert "between us" not in " ".join([*peer_argv(HOME), *argv(HOME)])


@pytest.mark.parametrize("secret", ["a;b", "a#b", " a", "a "])
def test_a_secret_that_its_file_would_cut_is_refused(secret):
    with pytest.raises(UsageError, match="Choose another secret"):
        Xl2tpd(host_name="lns", address="192.0.2.2", secrets={"lac": secret})


def test_a_call_with_routes_has_pppd_add_them():
    routed = replace(LAC, calls=(Call("one", "192.0.2.2", "alice", routes=("203.0.113.0/24",)),))
    assert sections(routed)["lac one"]["pppoptfile"] == f"{HOME}/ppp/one"
    files = written(routed)
    assert "ip-up-script /etc/ppp/one.ip-up\n" in files["ppp/one"].content
    script = files["ppp/one.ip-up"]
    assert script.mode == 0o755
    assert 'ip route add 203.0.113.0/24 dev "$1"\n' in script.content
    assert sections(LAC)["lac one"]["pppoptfile"] == f"{HOME}/ppp/xl2tpd"
