"""A lab as a drawing in the terminal: boxes, wires with their addresses, tunnels below them."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping

from lab.pictures.canvas import Canvas, to_ascii
from lab.pictures.scene import (
    Box,
    Pipe,
    Plug,
    Scene,
    Status,
    Strand,
    Wire,
    make_scene,
    short_address,
)
from lab.pictures.width import cut, folded
from lab.topology import Topology

WIDTH = 79


def draw(
    topology: Topology,
    live: Mapping[str, Status] | None = None,
    *,
    width: int = WIDTH,
    ascii_only: bool = False,
) -> str:
    """Draw a topology, with what the daemons' ``status`` (by node) says of it now."""
    return draw_text(make_scene(topology, live), width=width, ascii_only=ascii_only)


def draw_text(scene: Scene, *, width: int = WIDTH, ascii_only: bool = False) -> str:
    """Draw a scene in at most ``width`` columns; as a list where the boxes do not fit beside."""
    drawing = _Drawing(scene, width)
    if drawing.why_not:
        why = f"(a list, since {drawing.why_not})"
        lines = [*folded(why, width), "", *_listing(scene, width)]
    else:
        lines = drawing.lines()
    text = "\n".join([*folded(scene.title, width), "", *lines]) + "\n"
    return to_ascii(text) if ascii_only else text


class _Drawing:
    """Places everything on a canvas; a wire's words stand in the gap that it crosses."""

    def __init__(self, scene: Scene, width: int) -> None:
        self.scene = scene
        self.width = width
        self.canvas = Canvas()
        columns = range(max(box.column for box in scene.boxes) + 1)
        self.boxes = [
            max((len(b.name) for b in scene.boxes if b.column == column), default=0) + 4
            for column in columns
        ]
        self.gaps = [self._least_gap(column) for column in columns[:-1]]
        spare = width - sum(self.boxes) - sum(self.gaps)
        self.why_not = self._why_not(width - spare)
        if self.gaps and not self.why_not:
            spare -= self._widen(spare)
            each = min(spare // len(self.gaps), 6)
            self.gaps = [gap + each for gap in self.gaps]
        self.heights = [
            4 + max((len(_words(w)) for w in scene.wires if self._starts_in(w, row)), default=0)
            for row in range(max(box.row for box in scene.boxes) + 1)
        ]

    def _why_not(self, needed: int) -> str:
        """Say why it cannot be drawn; "" when it can."""
        for wire in self.scene.wires:
            if not self._crosses_one_gap(wire):
                ends = f"{wire.left.node} and {wire.right.node}"
                return f"the link of {ends} does not lead to the next column"
        if needed > self.width:
            return f"a drawing with all addresses needs {needed} columns, and has {self.width}"
        return ""

    def _widen(self, spare: int) -> int:
        """Widen boxes so that more of their tunnels begin and end at them; returns by how much."""
        needed = list(self.boxes)
        for pipe_box in self.scene.boxes:
            begin = sum(pipe.lac == pipe_box.name for pipe in self.scene.pipes)
            end = sum(pipe.lns == pipe_box.name for pipe in self.scene.pipes)
            column = pipe_box.column
            needed[column] = max(needed[column], 2 * begin + 2, 2 * end + 1)
        added = 0
        while added < spare - len(self.gaps) and needed != self.boxes:
            column = max(range(len(needed)), key=lambda at: needed[at] - self.boxes[at])
            self.boxes[column] += 1
            added += 1
        return added

    def _starts_in(self, wire: Wire, row: int) -> bool:
        return self.scene.box(wire.left.node).row == row

    def _crosses_one_gap(self, wire: Wire) -> bool:
        left, right = self.scene.box(wire.left.node), self.scene.box(wire.right.node)
        return right.column == left.column + 1

    def _least_gap(self, column: int) -> int:
        wires = [w for w in self.scene.wires if self.scene.box(w.left.node).column == column]
        needed = [8]
        for wire in wires:
            bends = self.scene.box(wire.left.node).row != self.scene.box(wire.right.node).row
            ends = len(_shorts(wire.left)) + len(_shorts(wire.right)) + 2
            needed.append(ends + 2 * bends)
            needed += [len(words) + 2 * bends for words in _words(wire)]
        return max(needed)

    def left_of(self, box: Box) -> int:
        return sum(self.boxes[: box.column]) + sum(self.gaps[: box.column])

    def right_of(self, box: Box) -> int:
        return self.left_of(box) + self.boxes[box.column] - 1

    def middle_of(self, box: Box) -> int:
        return sum(self.heights[: box.row]) + 1

    def lines(self) -> list[str]:
        for box in self.scene.boxes:
            self._draw_box(box)
        for wire in self.scene.wires:
            self._draw_wire(wire)
        self._draw_pipes()
        return [*self.canvas.lines(), *([self.scene.more] if self.scene.more else [])]

    def _draw_box(self, box: Box) -> None:
        left, right, y = self.left_of(box), self.right_of(box), self.middle_of(box)
        self.canvas.line(
            [(left, y - 1), (right, y - 1), (right, y + 1), (left, y + 1), (left, y - 1)]
        )
        inside = right - left - 1
        self.canvas.text(left + 1, y, box.name.center(inside))

    def _draw_wire(self, wire: Wire) -> None:
        left, right = self.scene.box(wire.left.node), self.scene.box(wire.right.node)
        start = (self.right_of(left), self.middle_of(left))
        end = (self.left_of(right), self.middle_of(right))
        bend = end[0] - 2
        if start[1] == end[1]:
            self.canvas.line([start, end])
        else:
            self.canvas.line([start, (bend, start[1]), (bend, end[1]), end])
        shorts = _shorts(wire.right)
        self.canvas.text(start[0] + 1, start[1] - 1, _shorts(wire.left))
        if start[1] == end[1]:
            self.canvas.text(end[0] - len(shorts), end[1] - 1, shorts)
        else:
            self.canvas.text(bend - len(shorts), start[1] - 1, shorts)
        for number, words in enumerate(_words(wire)):
            self.canvas.text(start[0] + 1, start[1] + 1 + number, words)

    def _draw_pipes(self) -> None:
        y = sum(self.heights) - 1
        used: dict[str, int] = {}
        # A LAC's lowest box first: the pipes of those above it pass below, not across.
        for pipe in sorted(self.scene.pipes, key=lambda p: -self.scene.box(p.lac).row):
            y = self._draw_pipe(pipe, y, used) + 1

    def _draw_pipe(self, pipe: Pipe, y: int, used: dict[str, int]) -> int:
        lac, lns = self.scene.box(pipe.lac), self.scene.box(pipe.lns)
        start = self.right_of(lac) - 2 - 2 * used.get(lac.name, 0)
        several = sum(other.lns == pipe.lns for other in self.scene.pipes) > 1
        end = self.left_of(lns) + (1 if several else 2) + 2 * used.get(lns.name, 0)
        attached = self._attach(lac, start, y)
        if not attached:
            start = self.left_of(lac) + len(pipe.lac) + 1
            self.canvas.text(self.left_of(lac), y, pipe.lac)
        ends_at_box = end > start + 20 and self._attach(lns, end, y)
        if not ends_at_box:
            end = max(start + 40, self.left_of(lns) - 1)
            self.canvas.text(end + 2, y, pipe.lns)
        self.canvas.line([(start, y), (end, y)], double=True)
        if attached:
            self.canvas.line([(start, y), (start, y - 1)], double=True)
        if ends_at_box:
            self.canvas.line([(end, y), (end, y - 1)], double=True)
        used[lac.name] = used.get(lac.name, 0) + attached
        used[lns.name] = used.get(lns.name, 0) + ends_at_box
        self.canvas.text(start + 2, y, _pipe_label(pipe, end - start - 3))
        return self._write_strands(pipe, start + 2, end if ends_at_box else self.width, y)

    def _attach(self, box: Box, x: int, y: int) -> bool:
        below = self.middle_of(box) + 2
        if not self.left_of(box) < x < self.right_of(box):
            return False
        if not self.canvas.is_free(x, below, y):
            return False
        self.canvas.text(x, below - 1, "╥")
        self.canvas.line([(x, below - 1), (x, y)], double=True)
        return True

    def _write_strands(self, pipe: Pipe, x: int, end: int, y: int) -> int:
        for strand in pipe.strands:
            for line in _filled(strand_parts(strand), end - x - 1):
                y += 1
                self.canvas.text(x, y, line)
        if pipe.more:
            y += 1
            self.canvas.text(x, y, pipe.more)
        return y


def _shorts(plug: Plug) -> str:
    return " ".join(short_address(address) for address in plug.addresses)


def _words(wire: Wire) -> list[str]:
    words = list(wire.prefixes)
    if wire.mtu != 1500:
        words.append(f"MTU {wire.mtu}")
    for plug in (wire.left, wire.right):
        if plug.impairment:
            words += [f"{plug.node}→", *(f" {part}" for part in plug.impairment.split(", "))]
    return words


def _pipe_label(pipe: Pipe, room: int) -> str:
    for label in (
        f" {pipe.name}  UDP {pipe.port}  {_ids(pipe)}",
        f" {pipe.name}  {_ids(pipe)}",
        f" {pipe.name}",
    ):
        if len(label.rstrip()) + 1 <= room:
            return f"{label.rstrip()} "
    return ""


def _ids(pipe: Pipe) -> str:
    if pipe.state not in ("", "established"):
        return pipe.state
    if not pipe.lac_tunnel_id:
        return ""
    return f"tunnel {pipe.lac_tunnel_id} ↔ {pipe.lns_tunnel_id or '?'}"


def strand_parts(strand: Strand) -> list[str]:
    """Say what a session is, as far as it is known: ids, interfaces, addresses, IPv6 prefix."""
    words = [strand.user]
    if strand.lac_session_id:
        words.append(f"session {strand.lac_session_id} ↔ {strand.lns_session_id or '?'}")
    if strand.state not in ("", "established"):
        words.append(strand.state)
    if strand.lac_interface:
        lac = f"{strand.lac_interface} {strand.lac_ipv4}".strip()
        lns = f"{strand.lns_ipv4} {strand.lns_interface}".strip()
        words.append(f"{lac} ↔ {lns or '?'}")
    if strand.ipv6_prefix:
        words.append(strand.ipv6_prefix)
    return words


def _filled(parts: list[str], width: int) -> Iterator[str]:
    """Join parts with dots into lines, breaking a part only where it alone is too long."""
    line = ""
    for part in parts:
        if line and len(line) + 3 + len(part) > width:
            yield line
            line = f"  {part}"
        else:
            line = f"{line} · {part}" if line else part
        while len(line) > width:
            yield line[:width]
            line = f"    {line[width:]}"
    yield line


def _listing(scene: Scene, width: int) -> Iterator[str]:
    for box in scene.boxes:
        yield f"{box.name} ({box.kind})"
        for wire in scene.wires:
            for plug, other in ((wire.left, wire.right), (wire.right, wire.left)):
                if plug.node == box.name:
                    words = f"→ {other.node}: {' '.join(plug.addresses)}"
                    if plug.impairment:
                        words += f" ({plug.impairment})"
                    yield from textwrap.wrap(
                        words, width, initial_indent="  ", subsequent_indent="      "
                    )
    for pipe in scene.pipes:
        yield ""
        line = f"{pipe.lac} ══ {pipe.name}  {_ids(pipe)} ══ {pipe.lns}".replace("   ", " ")
        yield cut(line, width)
        line = f"  {pipe.lac_address} ↔ {pipe.lns_address}, UDP port {pipe.port}"
        yield from folded(line, width, "    ")
        for strand in pipe.strands:
            yield from (f"  {line}" for line in _filled(strand_parts(strand), width - 2))
        if pipe.more:
            yield f"  {pipe.more}"
    if scene.more:
        yield from ("", scene.more)
