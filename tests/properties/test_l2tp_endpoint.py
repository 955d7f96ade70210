"""Endpoints on a bad network always agree in the end; no peer can make one stumble."""

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from l2tp.protocol.call_transitions import SessionState
from l2tp.protocol.constants import MessageType
from l2tp.protocol.endpoint import CallParameters
from l2tp.protocol.events import (
    CallRequested,
    Event,
    MessageReceived,
    MessageSent,
    SessionClosed,
    SessionEstablished,
    TunnelClosed,
    TunnelEstablished,
    TunnelReleased,
)
from l2tp.protocol.header import encode_control
from l2tp.protocol.values import Accm, CallErrors
from tests.properties.test_l2tp_codec import bodies, messages
from tests.support.memory_network import (
    LAC,
    LNS,
    MemoryNetwork,
    Node,
    lac_config,
    lns_config,
    lossy,
)
from tests.support.scripted_peer import ScriptedPeer

# Without HELLO the network comes to rest, and what was said can be compared with what was heard.
PATIENT = {"maximum_retransmissions": 100, "hello_interval_s": 0.0}


def accept(node: Node) -> None:
    """Take every call, dial those that are asked for, and report on the line of each."""
    endpoint = node.endpoint

    def on_event(event: Event, now: float) -> None:
        if isinstance(event, CallRequested):
            ids = event.local_tunnel_id, event.local_session_id
            endpoint.accept_call(*ids, now)
            if event.outgoing:
                endpoint.connect_call(*ids, now, tx_connect_speed_bps=64_000)
        elif isinstance(event, SessionEstablished):
            ids = event.local_tunnel_id, event.local_session_id
            if event.lns_mode:
                endpoint.set_link_info(*ids, now, Accm(event.peer_session_id, 0))
            else:
                errors = CallErrors(event.local_session_id, 0, 0, 0, 0, 0)
                endpoint.report_errors(*ids, now, errors)

    node.on_event = on_event


def open_sessions(node: Node) -> set[tuple[int, int]]:
    gone = {e.local_session_id for e in node.of(SessionClosed)}
    return {
        (e.local_session_id, e.peer_session_id)
        for e in node.of(SessionEstablished)
        if e.local_session_id not in gone
    }


def once_in_order(sender: Node, receiver: Node) -> bool:
    """Whether what one end's messages said, the other took in the same order, once."""
    said = [(e.ns, e.message) for e in sender.of(MessageSent) if e.message and e.transmission == 1]
    heard = [(e.ns, e.message) for e in receiver.of(MessageReceived) if e.message]
    return said == heard


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    loss=st.floats(0, 0.4),
    duplication=st.floats(0, 0.4),
    spread_s=st.floats(0, 3),
    calls=st.lists(st.booleans(), min_size=1, max_size=6),
    hang_ups=st.integers(0, 3),
    lns_opens=st.booleans(),
    secret=st.none() | st.just(b"secret"),
)
def test_a_bad_network_delays_but_never_divides(
    seed: int,
    loss: float,
    duplication: float,
    spread_s: float,
    calls: list[bool],
    hang_ups: int,
    lns_opens: bool,
    secret: bytes | None,
) -> None:
    network = MemoryNetwork(
        lossy(Random(seed), loss=loss, duplication=duplication, spread_s=spread_s)
    )
    config = {
        **PATIENT,
        "session_setup_timeout_s": 1e6,
        "accepts_tunnels": True,
        "accepts_outgoing_calls": True,
        "secret": secret,
    }
    lac = network.add(LAC, lac_config(**config), seed=1)
    lns = network.add(LNS, lns_config(**config), seed=2)
    accept(lac)
    accept(lns)
    opener, destination = (lns, LAC) if lns_opens else (lac, LNS)
    opener.endpoint.open_tunnel(destination, network.now)
    network.run(1000)
    (lac_tunnel,), (lns_tunnel,) = (
        [event.local_tunnel_id for event in node.of(TunnelEstablished)] for node in (lac, lns)
    )
    for is_outgoing in calls:
        call = CallParameters(called_number="5550199", calling_number="5550100")
        if is_outgoing:
            lns.endpoint.request_call(lns_tunnel, network.now, call)
        else:
            lac.endpoint.place_call(lac_tunnel, network.now, call)
    network.run(2000)
    assert len(open_sessions(lac)) == len(calls)
    assert open_sessions(lns) == {(peer, local) for local, peer in open_sessions(lac)}
    for local, peer in open_sessions(lac):
        here = lac.endpoint.describe_session(lac_tunnel, local)
        there = lns.endpoint.describe_session(lns_tunnel, peer)
        assert here is not None
        assert there is not None
        assert here.accm == there.accm == Accm(local, 0)
        assert here.call_errors == there.call_errors == CallErrors(local, 0, 0, 0, 0, 0)
        assert here.call.tx_connect_speed_bps == there.call.tx_connect_speed_bps
    for local, _ in sorted(open_sessions(lac))[:hang_ups]:
        lac.endpoint.hang_up(lac_tunnel, local, network.now)
    network.run(1000)
    assert open_sessions(lns) == {(peer, local) for local, peer in open_sessions(lac)}
    assert len(open_sessions(lac)) == max(len(calls) - hang_ups, 0)
    assert once_in_order(lac, lns)
    assert once_in_order(lns, lac)
    lac.endpoint.close_tunnel(lac_tunnel, network.now)
    network.run(5000)
    for node in (lac, lns):
        assert len(node.of(TunnelClosed)) == len(node.of(TunnelReleased)) == 1
        assert not open_sessions(node)
        assert node.endpoint.get_timer() is None


def all_closed(peer: ScriptedPeer) -> None:
    """Close what is left; then nothing may remain, and nothing may have ended twice."""
    for number in list(peer.endpoint._tunnels.by_id):
        peer.endpoint.close_tunnel(number, peer.now)
    peer.collect()
    peer.pass_time(500)
    assert peer.endpoint.get_timer() is None
    assert not peer.endpoint._tunnels.by_id
    assert not peer.endpoint._tunnels.by_peer_id
    assert (peer.endpoint._tunnels.census.open, peer.endpoint._tunnels.census.half_open) == (0, 0)
    closed = [e.local_tunnel_id for e in peer.of(TunnelClosed)]
    assert len(closed) == len(set(closed)) == len(peer.of(TunnelReleased))
    ended = [(e.local_tunnel_id, e.local_session_id) for e in peer.of(SessionClosed)]
    assert len(ended) == len(set(ended))


STATES = [
    "wait_ctl_reply",
    "wait_ctl_conn",
    "established",
    "established_by_endpoint",
    "call_wait_reply",
    "call_wait_answer",
    "call_wait_connect",
    "call_established_as_lac",
    "call_established_as_lns",
    "outgoing_wait_answer",
    "outgoing_wait_cs_answer",
    "outgoing_established_as_lac",
    "outgoing_wait_reply",
    "outgoing_wait_connect",
    "outgoing_established_as_lns",
]
LOCAL = ["place", "request", "accept", "connect", "hang up", "close", "wait"]


@settings(max_examples=150, deadline=None)
@given(
    state=st.sampled_from(STATES),
    steps=st.lists(
        st.tuples(
            st.sampled_from(LOCAL) | messages() | bodies() | st.binary(max_size=30),
            st.sampled_from(["own", "zero", "other"]),
        ),
        max_size=8,
    ),
)
def test_no_peer_makes_an_endpoint_stumble(state: str, steps: list[tuple[object, str]]) -> None:
    initiates = state in ("wait_ctl_reply", "established_by_endpoint") or (
        state in ("call_wait_reply", "call_established_as_lac")
    )
    config = lac_config if initiates else lns_config
    # Its neighbours find these states by chance too rarely.
    peer = ScriptedPeer(
        config(accepts_tunnels=True, accepts_calls=True, accepts_outgoing_calls=True)
    )
    getattr(peer, state)()
    for step, target in steps:
        requests = peer.of(CallRequested)
        session = requests[-1].local_session_id if requests else peer.session_id
        chosen = {"own": session, "zero": 0, "other": 999}[target]
        if step == "wait":
            peer.pass_time(7)
        elif step in LOCAL:
            local(peer, str(step), chosen)
        elif isinstance(step, bytes):
            peer.body(step, session_id=chosen)
        else:
            peer.say(step, session_id=chosen)  # type: ignore[arg-type]
        kinds = {kind.name for kind in MessageType}
        assert {message.name for message in peer.said} <= kinds
    all_closed(peer)


def local(peer: ScriptedPeer, step: str, session: int) -> None:
    """Do what a daemon does in answer to events: never to what was reported as gone."""
    endpoint, now = peer.endpoint, peer.now
    closed = {e.local_tunnel_id for e in peer.of(TunnelClosed)}
    for tunnel in [number for number in endpoint._tunnels.by_id if number not in closed]:
        if step == "place":
            endpoint.place_call(tunnel, now, CallParameters(called_number="1"))
        elif step == "request":
            endpoint.request_call(tunnel, now, CallParameters(called_number="1"))
        elif step == "hang up":
            endpoint.hang_up(tunnel, session, now)
        elif step == "close":
            endpoint.close_tunnel(tunnel, now)
        elif step == "accept":
            # Not by what was sent: an answer may wait for room in the peer's window.
            for event in peer.of(CallRequested):
                number = event.local_session_id
                waiting = endpoint.describe_session(tunnel, number)
                if waiting and waiting.state is SessionState.WAIT_ANSWER:
                    endpoint.accept_call(tunnel, number, now)
                    break
        elif step == "connect":
            for event in peer.of(CallRequested):
                number = event.local_session_id
                session = endpoint.describe_session(tunnel, number)
                if session and session.state is SessionState.WAIT_CS_ANSWER:
                    endpoint.connect_call(tunnel, number, now, tx_connect_speed_bps=1)
    peer.collect()


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.binary(max_size=40)
        | st.builds(
            encode_control,
            st.sampled_from([0, 1, 2]),
            st.integers(0, 3),
            st.integers(0, 2),
            st.integers(0, 2),
            bodies(),
        ),
        max_size=4,
    ),
    st.booleans(),
)
def test_any_datagrams_leave_an_endpoint_sound(data: list[bytes], accepts: bool) -> None:
    peer = ScriptedPeer(lns_config(accepts_tunnels=accepts))
    for datagram in data:
        peer.raw(datagram)
    all_closed(peer)
