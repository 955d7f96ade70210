"""What pppd's scripts say becomes a phase."""

import pytest

from l2tp.ppp.phases import Notice, Phase, PppState, parse_notice


def notice(script, **fields):
    values = {
        "session": "5.7",
        "interface": "ppp3",
        "local_ipv4": "",
        "peer_ipv4": "",
        "local_ipv6": "",
        "peer_ipv6": "",
        "peer_name": "",
    }
    return Notice(script=script, **(values | fields))


IP_UP = notice("ip-up", local_ipv4="10.64.0.1", peer_ipv4="10.64.0.2", peer_name="alice")
IPV6_UP = notice("ipv6-up", local_ipv6="fe80::1", peer_ipv6="fe80::2")


def test_a_line_of_the_notify_script():
    line = "ip-up\t5.7\tppp3\t10.64.0.1\t10.64.0.2\t\t\talice\t\t"
    assert parse_notice(line) == IP_UP


@pytest.mark.parametrize("line", ["", "ip-up", "a\tb\tc", "1\t2\t3\t4\t5\t6\t7\t8\t9\t10\t11"])
def test_other_lines_are_nothing(line):
    assert parse_notice(line) is None


@pytest.mark.parametrize(
    ("scripts", "phase"),
    [
        ([], Phase.ESTABLISH),
        ([notice("auth-up")], Phase.NETWORK),
        ([notice("auth-up"), IP_UP], Phase.RUNNING),
        # pppd starts auth-up and ipv6-up side by side: either may speak first.
        ([IPV6_UP, notice("auth-up")], Phase.RUNNING),
        ([IP_UP, IPV6_UP, notice("ip-down")], Phase.RUNNING),
        ([IP_UP, IPV6_UP, notice("ip-down"), notice("ipv6-down")], Phase.TERMINATE),
        ([IP_UP, notice("ip-down")], Phase.TERMINATE),
    ],
)
def test_phases(scripts, phase):
    state = PppState()
    for script in scripts:
        state.apply(script)
    assert state.phase is phase


def test_addresses_come_and_go():
    state = PppState()
    state.apply(IP_UP)
    state.apply(IPV6_UP)
    assert (state.local_ipv4, state.peer_ipv4) == ("10.64.0.1", "10.64.0.2")
    assert (state.local_ipv6, state.peer_ipv6) == ("fe80::1", "fe80::2")
    assert (state.interface, state.unit, state.user) == ("ppp3", 3, "alice")
    state.apply(notice("ip-down"))
    assert (state.local_ipv4, state.peer_ipv4) == (None, None)
    assert state.local_ipv6 == "fe80::1"


def test_an_interface_of_another_name_has_no_unit():
    state = PppState()
    state.apply(notice("ip-up", interface="uplink"))
    assert state.unit is None
