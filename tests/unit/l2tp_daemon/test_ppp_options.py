"""The options file that pppd reads, at both ends."""

import pytest

from l2tp.ppp.options import AUTHENTICATION_METHODS, PppCall, PppSettings, quoted, render_options

CALLER = PppCall(local_tunnel_id=5, local_session_id=7, name="alice", answers=False)
ANSWERER = PppCall(
    local_tunnel_id=5,
    local_session_id=7,
    name="lns",
    answers=True,
    local_ipv4="10.64.0.1",
    peer_ipv4="10.64.0.2",
)


def lines(call, **settings):
    text = render_options(PppSettings(**settings), call, 11)
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def test_the_caller_takes_what_it_is_offered():
    options = lines(CALLER)
    assert 'name "alice"' in options
    assert {"noauth", "noipdefault", "ipcp-accept-local", "ipcp-accept-remote"} <= set(options)
    assert "silent" not in options
    assert not [line for line in options if line.startswith("require-")]


def test_the_answerer_waits_authenticates_and_gives_the_addresses():
    options = lines(ANSWERER)
    assert {"silent", "auth", "require-chap", "10.64.0.1:10.64.0.2"} <= set(options)
    assert "pppol2tp_lns_mode" in options
    assert "noauth" not in options


@pytest.mark.parametrize("call", [CALLER, ANSWERER])
def test_both_ends_agree_on_what_counters_depend_on(call):
    options = lines(call, mtu=1400, mru=1300, echo_interval_s=9, echo_failures=2)
    assert {"noccp", "novj", "nopcomp", "noaccomp"} <= set(options)
    assert {"mtu 1400", "mru 1300", "lcp-echo-interval 9", "lcp-echo-failure 2"} <= set(options)
    assert {"pppol2tp 11", "nodetach", "lcp-restart 1", "+ipv6"} <= set(options)
    assert {"pppol2tp_tunnel_id 5", "pppol2tp_session_id 7"} <= set(options)
    assert "set L2TP_SESSION=5.7" in options


@pytest.mark.parametrize("method", AUTHENTICATION_METHODS)
def test_each_method_is_required_at_one_end_and_alone_at_the_other(method):
    required = lines(ANSWERER, authentication=method)
    refused = [line for line in lines(CALLER, authentication=method) if "refuse-" in line]
    if method == "none":
        assert "noauth" in required
        assert not refused
    else:
        assert f"require-{method}" in required
        assert f"refuse-{method}" not in refused
        assert len(refused) == 4


def test_switches():
    assert "noipv6" in lines(CALLER, ipv6=False)
    assert "debug" in lines(CALLER, debug=True)
    assert "debug" not in lines(CALLER)
    assert lines(CALLER, extra=("usepeerdns", "idle 5"))[-2:] == ["usepeerdns", "idle 5"]


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("alice", '"alice"'),
        ("a b", '"a b"'),
        ('a"b', '"a\\"b"'),
        ("a\\b", '"a\\\\b"'),
        ("$name", '"$name"'),
    ],
)
def test_words_are_quoted_for_pppd(word, expected):
    assert quoted(word) == expected


def test_a_dollar_in_a_name_is_no_placeholder():
    call = PppCall(local_tunnel_id=1, local_session_id=2, name="${mtu}", answers=False)
    assert 'name "${mtu}"' in lines(call)


def test_limits_of_time_and_name_servers():
    assert {"idle 5", "maxconnect 60"} <= set(
        lines(ANSWERER, idle_timeout_s=5, session_timeout_s=60)
    )
    assert not [line for line in lines(ANSWERER) if line.startswith(("idle", "maxconnect"))]
    named = [line for line in lines(ANSWERER, dns=("10.64.0.1", "10.64.0.9")) if "dns" in line]
    assert named == ["ms-dns 10.64.0.1", "ms-dns 10.64.0.9"]
    assert "usepeerdns" in lines(CALLER)


def test_ipv6_alone_has_no_word_of_ipv4():
    answerer = PppCall(local_tunnel_id=5, local_session_id=7, name="lns", answers=True)
    for call in (CALLER, answerer):
        options = lines(call, ipv4=False)
        assert "noip" in options
        assert not {"noipdefault", "usepeerdns", "None:None"} & set(options)
    assert PppSettings(ipv4=False).families == {"ipv6"}
    assert PppSettings().families == {"ipv4", "ipv6"}
