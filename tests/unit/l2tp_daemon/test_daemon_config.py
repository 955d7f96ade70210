"""Configuration files: what they mean, and everything that is wrong with them at once."""

from random import Random

import pytest

from l2tp.config.avp_text import LONGEST_AVP_TEXT
from l2tp.config.load import load_config
from l2tp.config.toml_table import ConfigurationError
from l2tp.protocol.call_messages import check_call, make_icrq
from l2tp.protocol.codec import encode_message
from l2tp.protocol.constants import AvpType
from l2tp.protocol.greeting import check_config
from l2tp.protocol.hiding import Hider
from l2tp.protocol.limits import Limits
from l2tp.protocol.parameters import Address, CallParameters

SECRETS = """\
[tunnels]
lns = "between us"
[users]
alice = "wonderland"
bob = "builder"
"""
LAC = """\
host_name = "lac"
[[tunnel]]
name = "lns"
local = "192.0.2.1"
peer = "198.51.100.2"
secret = "lns"
[[tunnel.call]]
user = "alice"
routes = ["203.0.113.0/24", "2001:db8:3::/64"]
addresses = ["2001:db8:a::1/64"]
"""
LNS = """\
[listen]
address = "198.51.100.2"
[ppp]
local_ipv4 = "10.64.0.1"
pool = "10.64.0.0/24"
[[user]]
name = "alice"
routes = ["2001:db8:a::/64"]
[[user]]
name = "bob"
"""


@pytest.fixture
def load(tmp_path):
    def load(text, role, secrets=SECRETS, mode=0o600):
        (tmp_path / "config.toml").write_text(text)
        path = tmp_path / "secrets.toml"
        path.write_text(secrets)
        path.chmod(mode)
        return load_config(tmp_path / "config.toml", role)

    return load


@pytest.fixture
def problems(load, tmp_path):
    def problems(text, role, **more):
        with pytest.raises(ConfigurationError) as caught:
            load(text, role, **more)
        return [line.replace(f"{tmp_path}/", "") for line in caught.value.problems]

    return problems


def test_a_lac(load, tmp_path):
    config = load(LAC, "lac")
    assert config.state_folder == tmp_path
    assert config.lns is None
    (tunnel,) = config.tunnels
    assert (tunnel.local, tunnel.peer) == (
        Address("192.0.2.1", 1701),
        Address("198.51.100.2", 1701),
    )
    assert tunnel.secret == b"between us"
    (call,) = tunnel.calls
    assert (call.user, call.at_start) == ("alice", True)
    assert call.routes == ("203.0.113.0/24", "2001:db8:3::/64")
    assert not config.endpoint.accepts_tunnels
    assert not config.data.lns_mode


def test_an_lns(load):
    config = load(LNS, "lns")
    assert config.tunnels == ()
    (listen,) = config.listen
    assert (listen.address, listen.answer_port) == (Address("198.51.100.2", 1701), 1701)
    assert str(config.lns.pool) == "10.64.0.0/24"
    assert config.lns.users["alice"].routes == ("2001:db8:a::/64",)
    assert config.endpoint.accepts_tunnels
    assert config.endpoint.accepts_calls
    assert config.endpoint.secrets == {"lns": b"between us"}
    assert config.data.lns_mode


@pytest.mark.rfc2661("5.5-hello", "5.8-give-up")
def test_settings_reach_the_endpoint_ppp_and_the_driver(load):
    config = load(
        LAC
        + """
[protocol]
hello_interval_s = 5
receive_window_size = 3
retention_s = 1
dead_time_s = 9
challenge = false
hide_avps = "none"
single_tunnel = true
[ppp]
mtu = 1400
authentication = "mschap-v2"
options = ["idle 5"]
[data]
send_sequence = true
reorder_timeout_ms = 20
""",
        "lac",
    )
    assert (config.endpoint.hello_interval_s, config.endpoint.receive_window_size) == (5.0, 3)
    assert (config.endpoint.retention_s, config.endpoint.dead_time_s) == (1.0, 9.0)
    assert not config.endpoint.challenges
    assert not config.endpoint.hidden_avps
    assert config.endpoint.single_tunnel
    assert (config.ppp.mtu, config.ppp.authentication) == (1400, "mschap-v2")
    assert config.ppp.extra == ("idle 5",)
    assert (config.data.send_sequence, config.data.reorder_timeout_ms) == (True, 20)


def test_limits_reach_the_endpoint_and_have_defaults(load):
    config = load(LNS + "[limits]\nmaximum_tunnels = 7\nmaximum_half_open_tunnels = 0\n", "lns")
    assert (config.endpoint.maximum_tunnels, config.endpoint.maximum_sessions_per_tunnel) == (
        7,
        65535,
    )
    assert config.endpoint.limits == Limits(
        maximum_half_open_tunnels=0, messages_per_s_per_peer=1000
    )


def test_no_retention_is_the_protocols_own(load):
    endpoint = load(LAC, "lac").endpoint
    assert (endpoint.retention_s, endpoint.dead_time_s) == (None, None)
    assert endpoint.challenges
    assert endpoint.hidden_avps


@pytest.mark.parametrize(
    ("asked", "called_number", "session_id", "tunnel_id"),
    [
        ("none", False, False, False),
        ("sensitive", True, False, False),
        ("calls", True, True, False),
        ("all", True, True, True),
    ],
)
def test_what_is_hidden_can_be_chosen(load, asked, called_number, session_id, tunnel_id):
    hidden = load(f'{LAC}[protocol]\nhide_avps = "{asked}"\n', "lac").endpoint.hidden_avps
    assert (AvpType.CALLED_NUMBER in hidden) is called_number
    assert (AvpType.ASSIGNED_SESSION_ID in hidden) is session_id
    assert (AvpType.ASSIGNED_TUNNEL_ID in hidden) is tunnel_id
    assert AvpType.HOST_NAME not in hidden


def test_every_mistake_is_told_with_its_line(problems):
    text = """\
role = "lac"
colour = "red"
[ppp]
mtu = 99999
authentication = "rot13"
ipv6 = 1
[[tunnel]]
name = "one"
local = "192.0.2.1"
peer = "198.51.100"
secret = "missing"
[[tunnel]]
name = "one"
local = "2001:db8::1"
peer = "198.51.100.2"
[[tunnel.call]]
user = "nobody"
routes = ["203.0.113.1/24"]
"""
    assert problems(text, "lac") == [
        "config.toml:4: ppp.mtu: 99999 is not from 128 to 16384",
        "config.toml:5: ppp.authentication: must be one of chap, mschap-v2, pap, none",
        "config.toml:6: ppp.ipv6: must be true or false, not 1",
        "config.toml:10: tunnel[1].peer: '198.51.100' is not an IP address",
        'config.toml:11: tunnel[1].secret: there is no "missing" in [tunnels] of the secrets file',
        "config.toml:14: tunnel[2].local: 2001:db8::1 and the peer 198.51.100.2 are not of one IP "
        "version",
        "config.toml:18: tunnel[2].call[1].routes: not a prefix: 203.0.113.1/24 has host bits set",
        'config.toml:17: tunnel[2].call[1].user: there is no "nobody" in [users] of the secrets '
        "file",
        'config.toml:13: tunnel[2].name: "one" is there already',
        "config.toml:2: colour: is not a setting of this table; see docs/configuration.md",
    ]


def test_what_is_missing_is_told_at_its_table(problems):
    assert problems("[listen]\n[[user]]\n", "lns") == [
        "config.toml: ppp.local_ipv4: is missing; it must be a string",
        "config.toml: ppp.pool: is missing; it must be a string",
        "config.toml:2: user[1].name: is missing; it must be a string",
        "config.toml:1: listen.address: is missing; it must be a string",
    ]


@pytest.mark.parametrize(
    ("text", "line", "where"),
    [
        ("[protcol]\nhello_interval_s = 1\n", 1, "protcol"),
        ('[[tunel]]\nname = "x"\n', 1, "tunel"),
        ("\n[limits.more]\nx = 1\n[limits]\n", 2, "limits.more"),
        ('# [[tunel]]\n[[tunnel.cal]]\nuser = "u"\n', 2, "tunnel[1].cal"),
        ("[limits] # of all\n\nmaximum_tunnels = 0\n", 3, "limits.maximum_tunnels"),
        ("[limits.deep]\n[limits]\nmaximum_tunnels = 0\n", 3, "limits.maximum_tunnels"),
        ("[ 'ppp' ]\n\"mtu\" = 1\n", 2, "ppp.mtu"),
        ("[data]\nsend_sequence.x = 1\n", 2, "data.send_sequence"),
    ],
)
def test_a_mistake_has_its_line_however_it_is_written(problems, text, line, where):
    first = problems(LAC + text, "lac")[0]
    assert first.startswith(f"config.toml:{line + len(LAC.splitlines())}: {where}: ")


def test_dotted_keys_inline_tables_and_values_of_several_lines_have_their_lines(problems):
    text = """\
host_name = \"\"\"
[[tunnel]]
local = 1
\"\"\"
protocol = { challenge = true, hello_interval_s = -1 }
limits.maximum_tunnels = 0
tunnel = [
  { name = "one", local = "192.0.2.1", peer = "192.0.2.2" },
  { name = "two", local = "192.0.2.1", peer = "x", call = [{ user = "nobody" }] },
]
[ppp]
options = [
  "idle 5", # ]
  7,
]
mtu = 1
"""
    assert {
        problem.partition(": ")[0][12:] + problem.split(":")[2] for problem in problems(text, "lac")
    } == {
        "16 ppp.mtu",
        "12 ppp.options",
        "7 tunnel[2].peer",
        "7 tunnel[2].call[1].user",
        "5 protocol.hello_interval_s",
        "6 limits.maximum_tunnels",
    }


def test_a_stray_table_among_the_secrets_has_its_line(problems):
    problem = problems(LAC, "lac", secrets=SECRETS + "[oops]\n")[0]
    assert problem.startswith("secrets.toml:6: oops: is not a setting")


def test_the_other_roles_file(problems):
    text = LNS.replace("[listen]", 'role = "lns"\n[listen]', 1)
    assert 'this is the configuration of "lns", started as "lac"' in problems(text, "lac")[0]


@pytest.mark.parametrize("route", ["198.51.100.0/24", "0.0.0.0/0", "198.51.100.2/32"])
def test_a_route_that_would_swallow_the_tunnel(problems, route):
    (problem,) = problems(LAC.replace("203.0.113.0/24", route), "lac")
    assert "the tunnel would run through itself" in problem


@pytest.mark.parametrize("port", [1701, 0])
def test_two_tunnels_between_the_same_hosts(load, port):
    second = LAC.partition("\n")[2].replace('"lns"\nlocal', f'"two"\nlocal_port = {port}\nlocal')
    assert [tunnel.local.port for tunnel in load(LAC + second, "lac").tunnels] == [1701, port]


def test_several_listeners(load):
    text = LNS.replace("[listen]", "[[listen]]")
    text += '[[listen]]\naddress = "2001:db8::2"\nport = 1702\nanswer_port = 0\n'
    first, second = load(text, "lns").listen
    assert (first.address.port, first.answer_port) == (1701, 1701)
    assert (second.address, second.answer_port) == (Address("2001:db8::2", 1702), 0)


def test_an_address_that_is_listened_at_twice(problems):
    text = LNS.replace("[listen]", "[[listen]]") + '[[listen]]\naddress = "198.51.100.2"\n'
    (problem,) = problems(text, "lns")
    assert "listen[2].address: 198.51.100.2:1701 is listened at already" in problem


def test_an_ipv6_address_is_the_same_in_every_spelling(load, problems):
    text = LNS.replace("[listen]", "[[listen]]")
    text += '[[listen]]\naddress = "2001:DB8:0::2"\n'
    assert load(text, "lns").listen[1].address.host == "2001:db8::2"
    (problem,) = problems(text + '[[listen]]\naddress = "2001:db8:0:0::2"\n', "lns")
    assert "listen[3].address: [2001:db8::2]:1701 is listened at already" in problem
    text = LAC.replace("192.0.2.1", "2001:DB8::1").replace("198.51.100.2", "2001:DB8:0::2")
    (tunnel,) = load(text, "lac").tunnels
    assert (tunnel.local.host, tunnel.peer.host) == ("2001:db8::1", "2001:db8::2")


def test_a_lac_may_listen_and_an_lns_dial(load):
    tunnel = '[[tunnel]]\nname = "lns"\nlocal = "198.51.100.2"\npeer = "192.0.2.1"\n'
    assert load(LNS + tunnel, "lns").tunnels[0].peer == Address("192.0.2.1", 1701)
    config = load('[listen]\naddress = "192.0.2.1"\n', "lac")
    assert config.endpoint.accepts_tunnels
    assert not config.endpoint.accepts_calls


@pytest.mark.parametrize(
    ("role", "words"),
    [("lac", "a LAC needs at least one"), ("lns", "an LNS needs at least one [[listen]]")],
)
def test_who_neither_listens_nor_dials_has_nothing_to_do(problems, role, words):
    text = LNS.replace('[listen]\naddress = "198.51.100.2"\n', "") if role == "lns" else ""
    assert any(words in problem for problem in problems(text, role))


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660])
def test_secrets_that_others_can_read_are_refused(problems, mode):
    first, *_ = problems(LAC, "lac", mode=mode)
    assert "others may read or change this secrets file" in first
    assert "chmod 600" in first


def test_no_message_quotes_a_secret(problems):
    text = "\n".join(problems(LAC, "lac", secrets='[users]\nalice = "hush\\nhush"\nbob = 7\n'))
    assert "printable" in text
    assert "must be a string" in text
    assert "hush" not in text
    assert "7" not in text.replace("secrets.toml", "")
    first = problems(LAC, "lac", secrets='users = "hush"\n')[0]
    assert first == "secrets.toml:1: users: must be a table, not a single value"


def test_credentials_do_not_show(load):
    config = load(LAC, "lac")
    assert "wonderland" not in repr(config.credentials)
    assert "between us" not in repr(config.credentials)


def test_files_that_are_not_there(tmp_path):
    with pytest.raises(ConfigurationError, match="cannot read the configuration: No such file"):
        load_config(tmp_path / "none.toml", "lac")
    (tmp_path / "config.toml").write_text(LAC)
    with pytest.raises(ConfigurationError, match="cannot read the secrets file: No such file"):
        load_config(tmp_path / "config.toml", "lac")


def test_what_is_no_toml(problems):
    (problem,) = problems("a = = 1\n", "lac")
    assert "not TOML" in problem
    assert "line 1" in problem


def test_what_a_user_always_gets(load):
    text = LNS.replace(
        'name = "bob"', 'name = "bob"\nipv4 = "10.64.0.77"\nipv6_prefix = "2001:db8:b::/64"'
    )
    config = load(text, "lns")
    assert config.fixed_addresses == {"bob": "10.64.0.77"}
    assert config.lns.users["bob"].ipv6_prefix == "2001:db8:b::/64"


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('"bob"', '"bob"\nipv4 = "10.64.0.1"', "ipv4: the LNS itself has 10.64.0.1 already"),
        ('"bob"', '"bob"\nipv6_prefix = "2001:db8::/48"', "no IPv6 prefix of length 64"),
        ("[ppp]", "[ppp]\nipv4 = false\nipv6 = false", "a session carries nothing"),
        ("[ppp]", "[ppp]\nmtu = 1000", "1000 is too small for IPv6, which needs 1280"),
        ("[ppp]", '[ppp]\ndns = ["2001:db8::1"]', "is not an IPv4 address"),
        ("[ppp]", '[ppp]\ndns = ["10.0.0.1", "10.0.0.2", "10.0.0.3"]', "two servers at most"),
    ],
)
def test_mistakes_about_ppp(problems, old, new, problem):
    (found,) = problems(LNS.replace(old, new), "lns")
    assert problem in found


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (f'host_name = "{"ü" * 501}"\n{LAC[17:]}', "config.toml:1: host_name: has 1002 octets"),
        (
            f'{LAC}called_number = "{"5" * 1001}"\n',
            "config.toml:11: tunnel[1].call[1].called_number",
        ),
        (
            f'{LAC}calling_number = "{"5" * 1001}"\n',
            "config.toml:11: tunnel[1].call[1].calling_number",
        ),
        (
            f'{LAC}[[line]]\nuser = "bob"\nnumber = "{"5" * 1001}"\n',
            "config.toml:13: line[1].number: has 1001",
        ),
        (
            f"{LAC}[protocol]\nretransmission_initial_s = 60\nretransmission_cap_s = 0.05\n",
            "config.toml:12: protocol.retransmission_initial_s: 60 is more than "
            "retransmission_cap_s, 0.05; lower the one or raise the other",
        ),
        (
            f"{LAC}[redial]\nlongest_s = 0.5\n",
            "config.toml:11: redial.first_s: 1 is more than longest_s, 0.5",
        ),
        (f"{LAC}[redial]\nlongest_s = 0\n", "config.toml:12: redial.longest_s: 0 is not from"),
    ],
)
def test_what_could_never_work_is_refused_at_once(problems, text, problem):
    (found,) = problems(text, "lac")
    assert found.startswith(problem)


def test_the_longest_texts_fit_into_their_messages_also_hidden(load):
    text = "5" * LONGEST_AVP_TEXT
    lac = LAC.replace('host_name = "lac"', f'host_name = "{text}"')
    config = load(f'{lac}called_number = "{text}"\ncalling_number = "{text}"\n', "lac")
    check_config(config.endpoint)
    (call,) = config.tunnels[0].calls
    parameters = CallParameters(
        called_number=call.called_number, calling_number=call.calling_number
    )
    check_call(parameters, outgoing=False)
    hidden = config.endpoint.hidden_avps
    assert {AvpType.CALLED_NUMBER, AvpType.CALLING_NUMBER} <= hidden
    encode_message(make_icrq(parameters, 1), hider=Hider(b"secret", hidden, Random(1)))


@pytest.mark.parametrize("pool", ["10.64.0.1/32", "10.64.0.0/30"])
def test_a_pool_without_an_address_for_a_caller(problems, pool):
    text = LNS.replace("10.64.0.0/24", pool) + 'ipv4 = "10.64.0.2"\n'
    (problem,) = problems(text, "lns")
    assert problem.startswith(f"config.toml:5: ppp.pool: {pool} has no address for a caller")


def test_without_ipv4_an_lns_needs_no_pool(load):
    text = LNS.replace('local_ipv4 = "10.64.0.1"\npool = "10.64.0.0/24"', "ipv4 = false")
    assert load(text, "lns").ppp.families == {"ipv6"}
