"""A lab as an SVG: the same scene as in the terminal, with room for every address."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape

from lab.pictures.scene import Box, Pipe, Plug, Scene, Strand, Wire

BOX_WIDTH, BOX_HEIGHT = 110, 56
LEAST_GAP, ROW_HEIGHT = 170, 150
MARGIN, TOP = 40, 90
LANE, LINE = 18, 16
CHARACTER = 6.9
"""The width of a character of an address, in pixels."""

COLOURS = {"lac": "#2563eb", "lns": "#7c3aed", "router": "#475569", "host": "#15803d"}
PIPE_COLOURS = ("#f59e0b", "#0d9488", "#db2777", "#65a30d")

STYLE = """
text { font: 12px ui-sans-serif, system-ui, "DejaVu Sans", sans-serif; fill: #0f172a }
.title { font-size: 16px; font-weight: 600 }
.node { font-size: 15px; font-weight: 600; fill: #ffffff; text-anchor: middle }
.kind { font-size: 11px; fill: #ffffff; text-anchor: middle; opacity: .85 }
.address, .prefix, .strand { font: 11px ui-monospace, "DejaVu Sans Mono", monospace }
.prefix { text-anchor: middle; fill: #475569 }
.harm { font-size: 11px; fill: #b91c1c }
.right { text-anchor: end }
.pipe { font-weight: 600 }
""".strip()


def draw_svg(scene: Scene) -> str:
    """Draw a scene as an SVG document that needs nothing else to be seen."""
    body, width, height = _Drawing(scene).elements()
    title = escape(scene.title)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
            f'width="{width}" height="{height}" role="img">',
            f"<title>{title}</title>",
            f"<style>{STYLE}</style>",
            f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
            f'<text class="title" x="{MARGIN}" y="38">{title}</text>',
            *body,
            "</svg>\n",
        ]
    )


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a box stands, in pixels."""

    left: int
    top: int

    @property
    def right(self) -> int:
        return self.left + BOX_WIDTH

    @property
    def bottom(self) -> int:
        return self.top + BOX_HEIGHT

    @property
    def middle(self) -> tuple[int, int]:
        return self.left + BOX_WIDTH // 2, self.top + BOX_HEIGHT // 2


class _Drawing:
    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        beside = sum(not scene.is_lowest(scene.box(pipe.lac)) for pipe in scene.pipes)
        self.left = MARGIN + LANE * beside
        self.gap = max([LEAST_GAP, *(_room(wire) for wire in scene.wires)])
        self.used: Counter[str] = Counter()

    def elements(self) -> tuple[list[str], int, int]:
        columns = max(box.column for box in self.scene.boxes) + 1
        rows = max(box.row for box in self.scene.boxes) + 1
        width = self.left + columns * BOX_WIDTH + (columns - 1) * self.gap + MARGIN
        body: list[str] = []
        y = TOP + rows * ROW_HEIGHT - 20
        # A LAC's lowest box first: the pipes of those above it pass below, not across.
        pipes = sorted(self.scene.pipes, key=lambda pipe: -self.scene.box(pipe.lac).row)
        for number, pipe in enumerate(pipes):
            lines = [line for strand in pipe.strands for line in _strand_lines(strand)]
            lines += [pipe.more] if pipe.more else []
            body += self._pipe(pipe, PIPE_COLOURS[number % len(PIPE_COLOURS)], y, lines)
            y += 34 + LINE * len(lines)
        if self.scene.more:
            body.append(f'<text class="strand" x="{self.left}" y="{y}">{self.scene.more}</text>')
            y += 34
        for wire in self.scene.wires:
            body += self._wire(wire)
        for box in self.scene.boxes:
            body += self._box(box)
        return body, width, y

    def _place(self, box: Box) -> _Place:
        return _Place(self.left + box.column * (BOX_WIDTH + self.gap), TOP + box.row * ROW_HEIGHT)

    def _box(self, box: Box) -> Iterator[str]:
        place = self._place(box)
        x, y = place.middle
        colour = COLOURS.get(box.kind, COLOURS["host"])
        yield (
            f'<rect x="{place.left}" y="{place.top}" width="{BOX_WIDTH}" height="{BOX_HEIGHT}" '
            f'rx="10" fill="{colour}"/>'
        )
        named_by_kind = box.kind == box.name
        yield f'<text class="node" x="{x}" y="{y + 5 * named_by_kind}">{escape(box.name)}</text>'
        if not named_by_kind:
            yield f'<text class="kind" x="{x}" y="{y + 16}">{escape(box.kind)}</text>'

    def _wire(self, wire: Wire) -> Iterator[str]:
        left, right = self.scene.box(wire.left.node), self.scene.box(wire.right.node)
        start, end = self._place(left), self._place(right)
        y, to_y = start.middle[1], end.middle[1]
        inner = end.left if y == to_y else end.left - 26
        to_x = end.left
        if left.column == right.column:
            inner, to_x = end.right + 26, end.right
        path = f"M{start.right} {y} H{inner} V{to_y} H{to_x}"
        yield f'<path d="{path}" fill="none" stroke="#334155" stroke-width="2"/>'
        yield from _plug(wire.left, start.right + 6, y, "")
        yield from _plug(wire.right, max(inner, start.right + self.gap // 2) - 6, y, " right")
        words = [*wire.prefixes, *([f"MTU {wire.mtu}"] if wire.mtu != 1500 else [])]
        y += 4
        for text in words:
            y += 14
            x = (start.right + inner) // 2
            yield f'<text class="prefix" x="{x}" y="{y}">{escape(text)}</text>'
        for plug in (wire.left, wire.right):
            if plug.impairment:
                y += 14
                text = escape(f"{plug.node} → {plug.impairment}")
                yield f'<text class="harm" x="{start.right + 6}" y="{y}">{text}</text>'

    def _pipe(self, pipe: Pipe, colour: str, y: int, lines: list[str]) -> Iterator[str]:
        path = f"{self._leave(self.scene.box(pipe.lac))} V{y} "
        path += self._arrive(self.scene.box(pipe.lns))
        opacity = ".5" if pipe.state in ("", "established") else ".15"
        yield (
            f'<path d="{path}" fill="none" stroke="{colour}" stroke-opacity="{opacity}" '
            f'stroke-width="{LANE - 4}" stroke-linejoin="round"/>'
        )
        x = self._place(self.scene.box(pipe.lac)).right + 12
        yield f'<text class="pipe" x="{x}" y="{y + 4}">{escape(_pipe_text(pipe))}</text>'
        for number, line in enumerate(lines):
            yield (
                f'<text class="strand" xml:space="preserve" x="{x}" '
                f'y="{y + 22 + LINE * number}">{escape(line)}</text>'
            )

    def _leave(self, box: Box) -> str:
        """Begin below the lowest box of a column, and beside a box that has others below it."""
        place, count = self._place(box), self.used[box.name]
        self.used[box.name] += 1
        if self.scene.is_lowest(box):
            return f"M{place.middle[0] - LANE * count} {place.bottom}"
        self.used["beside"] += 1
        x = place.left - LANE * self.used["beside"]
        return f"M{place.left} {place.bottom - 14 - LANE * count} H{x}"

    def _arrive(self, box: Box) -> str:
        place, count = self._place(box), self.used[box.name]
        self.used[box.name] += 1
        if self.scene.is_lowest(box):
            return f"H{place.middle[0] + LANE * (count - 1)} V{place.bottom}"
        y = place.top + 14 + LANE * count
        return f"H{place.right + LANE * (count + 1)} V{y} H{place.right}"


def _room(wire: Wire) -> int:
    """Give the width that a wire's words need, side by side at both of its ends, in pixels."""
    ends = sum(max(map(len, _addresses(plug)), default=0) for plug in (wire.left, wire.right))
    return int(ends * CHARACTER) + 50


def _addresses(plug: Plug) -> list[str]:
    return [address.partition("/")[0] for address in plug.addresses]


def _plug(plug: Plug, x: int, y: int, side: str) -> Iterator[str]:
    for number, address in enumerate(reversed(_addresses(plug))):
        yield f'<text class="address{side}" x="{x}" y="{y - 8 - 14 * number}">{address}</text>'


def _pipe_text(pipe: Pipe) -> str:
    words = [pipe.name]
    if pipe.state not in ("", "established"):
        words.append(pipe.state)
    if pipe.lac_tunnel_id:
        words.append(f"tunnel {pipe.lac_tunnel_id} ↔ {pipe.lns_tunnel_id or '?'}")
    words.append(f"UDP {pipe.lac_address} ↔ {pipe.lns_address}:{pipe.port}")
    return "  ·  ".join(words)


def _strand_lines(strand: Strand) -> Iterator[str]:
    words = [strand.user]
    if strand.lac_session_id:
        words.append(f"session {strand.lac_session_id} ↔ {strand.lns_session_id or '?'}")
    if strand.state not in ("", "established"):
        words.append(strand.state)
    if strand.ipv6_prefix:
        words.append(strand.ipv6_prefix)
    yield " · ".join(words)
    if strand.lac_interface:
        lns = f"{strand.lns_ipv4} {strand.lns_interface}".strip() or "?"
        yield f"  {strand.lac_interface} {strand.lac_ipv4} ↔ {lns}"
