"""What RFC 2661 asks for, section by section, in our words, and where the code does it.

A row without a place says why there is none. Tests name rows by marker:
``@pytest.mark.rfc2661("5.8-back-off")``.
"""

# ruff: noqa: E501 (a table is read by its rows)

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

DRIVER: Final = "the kernel's driver"
"""The place of what `l2tp_core` and `l2tp_ppp` do for us."""


@dataclass(frozen=True, slots=True)
class Requirement:
    """One row: `level` is must, should or may; `place` is `file.py: name`, or DRIVER.

    `missing` says what is not done, and why; `place` may then be empty.
    """

    id: str
    level: str
    text: str
    place: str
    missing: str = ""

    @property
    def section(self) -> str:
        """The section's number: what stands before the hyphen."""
        return self.id.partition("-")[0]


SECTIONS: Final = {
    "3.1": "Header format",
    "3.2": "Control message types",
    "4.1": "AVP format",
    "4.2": "Mandatory AVPs",
    "4.3": "Hiding of AVP values",
    "4.4.1": "AVPs of all messages",
    "4.4.2": "Result and error codes",
    "4.4.3": "Control connection AVPs",
    "4.4.4": "Call management AVPs",
    "4.4.5": "Proxy LCP and authentication AVPs",
    "4.4.6": "Call status AVPs",
    "5.0": "Protocol operation",
    "5.1": "Control connection establishment",
    "5.1.1": "Tunnel authentication",
    "5.2": "Session establishment",
    "5.3": "Forwarding PPP frames",
    "5.4": "Sequence numbers on the data channel",
    "5.5": "Keepalive",
    "5.6": "Session teardown",
    "5.7": "Control connection teardown",
    "5.8": "Reliable delivery of control messages",
    "6": "Control messages",
    "7.1": "Malformed messages",
    "7.2": "Control connection states",
    "7.3": "Timing",
    "7.4": "Incoming calls",
    "7.5": "Outgoing calls",
    "8.1": "L2TP over UDP/IP",
    "8.2": "IP",
    "9": "Security",
    "A": "Slow start and congestion avoidance",
}
"""The sections with requirements, in the order of the page."""

_M, _S, _O = "must", "should", "may"
_R = Requirement

# fmt: off
REQUIREMENTS: Final[tuple[Requirement, ...]] = (
    _R("3.1-control-bits", _M, "A control message goes out with T, L and S set, and O and P clear.", "l2tp/protocol/header.py: encode_control"),
    _R("3.1-control-bits-in", _M, "A control message that comes without L or S is not used.", "l2tp/protocol/header.py: _decode_control"),
    _R("3.1-reserved", _M, "Reserved header bits go out as 0 and are ignored when they come in.", "l2tp/protocol/header.py: decode_header"),
    _R("3.1-version", _M, "The header's version goes out as 2.", "l2tp/protocol/header.py: encode_control"),
    _R("3.1-unknown-version", _M, "A packet of another version is discarded.", "l2tp/protocol/header.py: decode_header"),
    _R("3.1-length", _M, "The Length field bounds the message; one that is shorter than its header or longer than its datagram is not used.", "l2tp/protocol/header.py: decode_header"),
    _R("3.1-ids", _M, "Ids in the header are the receiver's; each end chooses its own.", "l2tp/protocol/transport.py: datagrams"),
    _R("3.1-offset", _O, "A data message may have padding before its payload, which is skipped.", "l2tp/protocol/header.py: _decode_data"),
    _R("3.1-priority", _S, "Data with the P bit is preferred in queues.", "", "the driver reads no P bit, and we send none"),
    _R("3.1-data-nr", _M, "Nr in a data message is ignored.", DRIVER),
    _R("3.2-types", _M, "The message types have the numbers that the RFC gives them.", "l2tp/protocol/constants.py: MessageType"),
    _R("4.1-length", _M, "An AVP's Length counts its header, and neither is below 6 nor leaves its message.", "l2tp/protocol/avp.py: split_avps"),
    _R("4.1-largest", _M, "An AVP has at most 1023 octets.", "l2tp/protocol/avp.py: encode_avp"),
    _R("4.1-reserved", _M, "Reserved AVP bits go out as 0; an AVP that comes with one set counts as unrecognized.", "l2tp/protocol/codec.py: _Decoder"),
    _R("4.1-mandatory-session", _M, "An unrecognized AVP with the M bit, in a message of a session, ends that session and no more.", "l2tp/protocol/call_arrivals.py: receive_invalid"),
    _R("4.1-mandatory-tunnel", _M, "In a message of the tunnel it ends the tunnel with all its sessions.", "l2tp/protocol/tunnel.py: receive_invalid"),
    _R("4.1-optional", _M, "An unrecognized AVP without the M bit is ignored.", "l2tp/protocol/codec.py: _Decoder"),
    _R("4.1-vendor", _O, "AVPs of a vendor are told apart by their Vendor ID.", "l2tp/protocol/avp.py: find_rule"),
    _R("4.2-new-avps", _M, "What sets the M bit on an AVP beyond the RFC can be configured off: we never set it there.", "l2tp/protocol/avp.py: AVP_TABLE"),
    _R("4.3-chain", _M, "A hidden value is the value with its length, XORed with the chained MD5 of type, secret and Random Vector.", "l2tp/protocol/hiding.py: hide"),
    _R("4.3-vector-first", _M, "A Random Vector precedes the first hidden AVP of a message.", "l2tp/protocol/codec.py: _encode_fields"),
    _R("4.3-vector-latest", _M, "A hidden AVP is revealed with the Random Vector that came last before it.", "l2tp/protocol/codec.py: _Decoder"),
    _R("4.3-vector-shared", _O, "One Random Vector serves several hidden AVPs of its message.", "l2tp/protocol/codec.py: _encode_fields"),
    _R("4.3-secret", _M, "AVPs are hidden only where both ends share a secret.", "l2tp/protocol/hiding.py: Hider"),
    _R("4.3-padding", _O, "Padding hides the value's length, and is dropped by who reveals it.", "l2tp/protocol/hiding.py: reveal"),
    _R("4.4.1-first", _M, "The Message Type is the first AVP of every message.", "l2tp/protocol/codec.py: _message_type"),
    _R("4.4.1-m-bit", _M, "It has the M bit for every type that the RFC defines.", "l2tp/protocol/codec.py: _plan"),
    _R("4.4.1-unknown", _M, "A message of an unknown type ends the tunnel where its M bit is set, and is ignored where not.", "l2tp/protocol/codec.py: _unknown_message"),
    _R("4.4.1-bits", _M, "Each AVP goes out with the M bit that its definition asks for, and is hidden only where that is allowed.", "l2tp/protocol/avp.py: AVP_TABLE"),
    _R("4.4.2-result", _M, "StopCCN and CDN carry a Result Code; an Error Code may follow, and a message after that.", "l2tp/protocol/errors.py: ResultCode"),
    _R("4.4.2-utf8", _M, "Texts in errors are UTF-8.", "l2tp/protocol/values.py: RESULT_CODE"),
    _R("4.4.2-version", _M, "Result 5 of a StopCCN tells the highest version that is spoken in its Error Code.", "l2tp/protocol/greeting.py: judge_version"),
    _R("4.4.3-framing", _M, "No call is asked for with framing that the peer did not advertise.", "l2tp/protocol/capabilities.py: fit_to_peer"),
    _R("4.4.3-bearer", _M, "Who can dial on request advertises Bearer Capabilities.", "l2tp/protocol/greeting.py: _introduction"),
    _R("4.4.3-tie", _M, "Of two tunnels that cross, the lower Tie Breaker wins, and the loser's is dropped in silence.", "l2tp/protocol/greeting.py: settle_tie"),
    _R("4.4.3-tie-equal", _M, "With equal Tie Breakers both tunnels are dropped.", "l2tp/protocol/greeting.py: settle_tie"),
    _R("4.4.3-host-name", _M, "A Host Name has at least one octet.", "l2tp/protocol/values.py: SOME_TEXT"),
    _R("4.4.3-tunnel-id", _M, "The Assigned Tunnel ID goes into the header of all that follows; before it is known the header has 0.", "l2tp/protocol/transport.py: datagrams"),
    _R("4.4.3-stop-id", _M, "A StopCCN repeats the Assigned Tunnel ID, so that its tunnel is found before the peer's id is known.", "l2tp/protocol/endpoint.py: receive_datagram"),
    _R("4.4.3-window", _M, "The peer's Receive Window Size bounds what is under way; without one it is 4, and 0 is invalid.", "l2tp/protocol/channel.py: set_peer_window"),
    _R("4.4.3-response", _M, "A challenge is answered in the next SCCRP or SCCCN.", "l2tp/protocol/hiding.py: Authentication"),
    _R("4.4.4-session-id", _M, "The Assigned Session ID goes into the header of all that follows; before it is known the header has 0.", "l2tp/protocol/calls.py: send"),
    _R("4.4.4-cdn-id", _M, "A CDN repeats the Assigned Session ID, so that its session is found before the peer's id is known.", "l2tp/protocol/call_arrivals.py: receive"),
    _R("4.4.4-serial", _S, "A Call Serial Number is unique among calls, for both ends' logs.", "l2tp/protocol/endpoint.py: Endpoint"),
    _R("4.4.4-bearer", _M, "An OCRQ asks only for bearers and framing that the LAC advertised.", "l2tp/protocol/capabilities.py: fit_to_peer"),
    _R("4.4.4-sequencing", _M, "Sequencing Required makes data numbered at all times, in both directions.", "l2tp/ppp/sessions.py: numbered"),
    _R("4.4.4-q931", _O, "A CDN may carry the Q.931 cause of the switched network.", "l2tp/protocol/avp.py: AVP_TABLE"),
    _R("4.4.5-carried", _O, "What the LAC has negotiated of LCP and authentication reaches the LNS.", "l2tp/protocol/session.py: Session"),
    _R("4.4.5-complete", _M, "Name, challenge, id and response are there as the Proxy Authen Type asks for.", "l2tp/protocol/call_messages.py: check_call"),
    _R("4.4.5-id", _M, "The upper octet of the Proxy Authen ID is 0.", "l2tp/protocol/values.py: LOW_OCTET"),
    _R("4.4.6-call-errors", _M, "The reserved field of Call Errors goes out as 0.", "l2tp/protocol/values.py: CALL_ERRORS"),
    _R("4.4.6-accm", _M, "The reserved field of ACCM goes out as 0.", "l2tp/protocol/values.py: ACCM"),
    _R("5.0-order", _M, "A tunnel is there before any call is asked for.", "l2tp/protocol/calls.py: open_waiting"),
    _R("5.0-frames", _M, "A session is there before PPP is tunnelled.", "l2tp/protocol/session.py: Session"),
    _R("5.1-three-messages", _M, "SCCRQ, SCCRP and SCCCN open a tunnel, from either side.", "l2tp/protocol/transitions.py: TUNNEL_TABLE"),
    _R("5.1.1-response", _M, "A challenge that came is answered.", "l2tp/protocol/hiding.py: challenge_response"),
    _R("5.1.1-refuse", _M, "A response that is missing or wrong refuses the tunnel.", "l2tp/protocol/hiding.py: find_fault"),
    _R("5.1.1-secret", _M, "Both ends have one secret, which is the same in both directions.", "l2tp/protocol/hiding.py: Authentication"),
    _R("5.2-incoming", _M, "ICRQ, ICRP and ICCN set up an incoming call.", "l2tp/protocol/call_transitions.py: LAC_INCOMING_TABLE"),
    _R("5.2-outgoing", _M, "OCRQ, OCRP and OCCN set up an outgoing call.", "l2tp/protocol/call_transitions.py: LAC_OUTGOING_TABLE"),
    _R("5.3-zero", _M, "0 is never assigned as an id.", "l2tp/protocol/ids.py: choose_id"),
    _R("5.3-ids-of-peer", _M, "0 is refused as the peer's assigned id.", "l2tp/protocol/values.py: NON_ZERO_UINT16"),
    _R("5.3-unique-session", _M, "No two sessions of a tunnel have one id at the peer: the second is refused, with nothing that names the first.", "l2tp/protocol/call_arrivals.py: receive"),
    _R("5.3-unique-tunnel", _M, "No two tunnels with a peer have one id there: the second is refused, with nothing that names the first.", "l2tp/protocol/judging.py: Judge"),
    _R("5.3-frames", _M, "Frames go between PPP and the session's data messages.", "l2tp/kernel/pppox.py: PppoxSession"),
    _R("5.4-required", _M, "With Sequencing Required, numbers are always there.", "l2tp/ppp/sessions.py: numbered"),
    _R("5.4-follow", _M, "A LAC begins and stops numbering data as its LNS does.", DRIVER),
    _R("5.4-lost", _O, "What was lost is detected, and packets out of order may be reordered.", DRIVER),
    _R("5.5-hello", _O, "A HELLO is sent after silence, a minute by default, configurable, and off where wanted.", "l2tp/protocol/transport.py: hello_at"),
    _R("5.5-data", _O, "Data that arrives counts as a sign of life.", "l2tp/protocol/transport.py: note_heard"),
    _R("5.5-unanswered", _M, "A HELLO that nobody acknowledges ends the tunnel.", "l2tp/protocol/causes.py: no_answer"),
    _R("5.5-restart", _S, "A request from a peer that restarted is no sign that its old tunnel lives: HELLO finds that out at once.", "l2tp/protocol/arrivals.py: _probe"),
    _R("5.6-cdn", _M, "A session ends with a CDN, which is not answered but acknowledged.", "l2tp/protocol/session.py: Session"),
    _R("5.7-stop", _M, "A StopCCN ends the tunnel and all sessions; no CDNs are sent.", "l2tp/protocol/calls.py: close_all"),
    _R("5.7-retention", _M, "Who receives a StopCCN acknowledges it, and stays able to do so again for a full retransmission cycle.", "l2tp/protocol/tunnel.py: handle_timer"),
    _R("5.7-again", _S, "While a closed tunnel is kept, its peer may ask for another with the same id.", "l2tp/protocol/arrivals.py: _tunnel_of_request"),
    _R("5.8-ns-nr", _M, "Each message but a ZLB takes the next Ns modulo 65536; Nr is the Ns that is expected next.", "l2tp/protocol/channel.py: Channel"),
    _R("5.8-zlb", _M, "A ZLB acknowledges, and uses up no number.", "l2tp/protocol/channel.py: transmissions"),
    _R("5.8-piggyback", _S, "An acknowledgement waits a little for a message to ride on.", "l2tp/protocol/channel.py: receive"),
    _R("5.8-duplicate", _M, "A duplicate is acknowledged again and not processed.", "l2tp/protocol/channel.py: receive"),
    _R("5.8-order", _O, "What arrives out of order is kept for its turn; messages are processed in order.", "l2tp/protocol/channel.py: next_arrival"),
    _R("5.8-back-off", _M, "Each retransmission waits twice as long as the one before.", "l2tp/protocol/channel.py: timeout_s"),
    _R("5.8-cap", _M, "A cap on that wait is not below 8 s: ours is 8 s unless configured otherwise.", "l2tp/protocol/parameters.py: EndpointConfig"),
    _R("5.8-give-up", _M, "After five retransmissions, or as many as configured, without an answer, the tunnel and all its sessions are cleared.", "l2tp/protocol/channel.py: handle_timer"),
    _R("5.8-newest-nr", _M, "A retransmission has its old Ns and the newest Nr.", "l2tp/protocol/channel.py: transmissions"),
    _R("5.8-window", _M, "The peer may have any window, and one of 4 is always usable.", "l2tp/protocol/channel.py: set_peer_window"),
    _R("5.8-no-withholding", _M, "Acknowledgements are never withheld to slow the peer down.", "l2tp/protocol/channel.py: receive"),
    _R("5.8-overrun", _O, "A peer that asks for more than it acknowledges the answers of does not use up our memory: its tunnel ends.", "l2tp/protocol/tunnel.py: end_if_overrun"),
    _R("5.8-shutdown", _M, "After the last message of a tunnel that ends, delivery goes on for a full retransmission cycle.", "l2tp/protocol/parameters.py: retention_period_s"),
    _R("5.8-congestion", _S, "Retransmissions use slow start and congestion avoidance.", "l2tp/protocol/channel.py: handle_timer"),
    _R("6-avps", _M, "Each message has the AVPs that its section requires, and refuses its peer's without them.", "l2tp/protocol/avp.py: AVP_TABLE"),
    _R("6.5-session-zero", _M, "A HELLO has session id 0.", "l2tp/protocol/tunnel.py: Tunnel"),
    _R("6.5-not-expected", _M, "No HELLO is ever expected of the peer.", "l2tp/protocol/transport.py: handle_timer"),
    _R("6.9-bearer", _M, "Who sent no Bearer Capabilities is asked for no outgoing call.", "l2tp/protocol/capabilities.py: fit_to_peer"),
    _R("6.12-clean", _M, "A CDN cleans up and gets no answer.", "l2tp/protocol/call_transitions.py: SESSION_TABLES"),
    _R("6.13-wen", _O, "A LAC reports line errors in a WEN, which is recorded and shown.", "l2tp/protocol/endpoint.py: report_errors"),
    _R("6.14-sli", _M, "An SLI's ACCM is taken at any time of the call.", "l2tp/protocol/endpoint.py: set_link_info"),
    _R("7.1-clear", _S, "A message that is malformed beyond repair is logged and ends its tunnel, or its session where its type says that it is of one.", "l2tp/protocol/tunnel.py: receive_invalid"),
    _R("7.1-tolerate", _S, "A malformed AVP without the M bit is ignored with a remark.", "l2tp/protocol/codec.py: _Decoder"),
    _R("7.2-table", _M, "Every state has an answer to every message, as the tables of the section say.", "l2tp/protocol/transitions.py: TUNNEL_TABLE"),
    _R("7.2-version", _M, "A version that is not spoken is refused with a StopCCN.", "l2tp/protocol/greeting.py: judge_version"),
    _R("7.2-local-end", _M, "A tunnel that is closed here sends a StopCCN, and one that the peer closes is cleaned up.", "l2tp/protocol/tunnel.py: close"),
    _R("7.3-set-up-time", _S, "A tunnel or a call that is not set up in time is ended.", "l2tp/protocol/calls.py: handle_timer"),
    _R("7.4-table", _M, "Incoming calls follow the tables of both roles.", "l2tp/protocol/call_transitions.py: LAC_INCOMING_TABLE"),
    _R("7.4-idle", _M, "An ICRP or OCRP that no session here awaits is answered with a CDN by the end that takes calls; other messages, and by the end that makes them these too, are cleaned up after.", "l2tp/protocol/call_arrivals.py: _receive_in_idle"),
    _R("7.5-table", _M, "Outgoing calls follow the tables of both roles.", "l2tp/protocol/call_transitions.py: LAC_OUTGOING_TABLE"),
    _R("7.5-ocrp", _M, "A LAC that can and may dial answers an OCRQ with an OCRP at once.", "l2tp/protocol/capabilities.py: judge_outgoing_call"),
    _R("7.5-release", _M, "A CDN hangs up what was dialled; an end of the call sends a CDN.", "l2tp/protocol/session.py: Session"),
    _R("8.1-ports", _O, "The answer may come from another port or address, and the tunnel goes on with that one.", "l2tp/protocol/transport.py: receive"),
    _R("8.1-static", _M, "After that, ports and addresses stay as they are.", "l2tp/protocol/transport.py: receive"),
    _R("8.1-checksums", _M, "UDP checksums are on by default, for control and data.", "l2tp/kernel/udp.py: open_udp_socket"),
    _R("8.1-l2f", _M, "L2F packets are dropped in silence.", "l2tp/protocol/header.py: decode_header"),
    _R("8.2-udp", _M, "UDP is the encapsulation over IP.", "l2tp/kernel/udp.py: open_udp_socket"),
    _R("9.1-authentication", _O, "Tunnel endpoints may authenticate each other with a shared secret.", "l2tp/protocol/hiding.py: Authentication"),
    _R("9.2-packets", _S, "Packets are protected by IPsec where the path is not trusted: the lab sets it up where a topology says so; a daemon of ours by itself sets up none.", "lab/running/ipsec.py: ipsec_files"),
    _R("9.5-proxy-off", _M, "An LNS that uses proxy authentication can be told to authenticate again: ours always does.", "l2tp/daemon/lns.py: Lns"),
    _R("A-slow-start", _S, "The window begins at 1 and grows by 1 with each acknowledgement, up to the threshold.", "l2tp/protocol/channel.py: Channel"),
    _R("A-avoidance", _S, "Beyond the threshold it grows by 1 with each window that is acknowledged.", "l2tp/protocol/channel.py: Channel"),
    _R("A-timeout", _S, "A retransmission halves the threshold and starts again at 1.", "l2tp/protocol/channel.py: handle_timer"),
)
# fmt: on
"""Every requirement, in the order of the page."""
