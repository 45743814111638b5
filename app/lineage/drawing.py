"""Answers of the graph as text, as a document for programs, and as a picture."""

from collections.abc import Iterable, Mapping
from html import escape
from typing import Any, Final

from app.lineage.graph import ROWS, Answer, Edge, Node

_ROW_HEIGHT, _CHAR_WIDTH, _GAP, _MARGIN = 22, 7, 90, 16
_COLOURS: Final = {
    "landing": "#8a8f98",
    "bronze": "#a0651c",
    "silver": "#6b7a8c",
    "gold": "#b08900",
    "quarantine": "#b3362b",
    "features": "#2f6f9f",
    "control": "#5b5b8c",
}
_OTHER = "#4a4a4a"


def name_of(node: Node, *, tables: bool = False) -> str:
    """What people read."""
    if tables:
        return node.dataset
    return f"which rows {node.dataset} has" if node.column == ROWS else str(node)


def text(answer: Answer, *, tables: bool = False) -> str:
    """A tree of lines; a node is spelt out where it comes first, and named where it comes again."""
    following: dict[Node, list[Edge]] = {}
    for edge in answer.edges:
        following.setdefault(edge.source if answer.forward else edge.target, []).append(edge)
    lines: list[str] = []
    seen: set[Node] = set()

    def draw(node: Node, label: str, first: str, rest: str) -> None:
        again = node in seen and bool(following.get(node))
        lines.append(f"{first}{name_of(node, tables=tables)}{label}{' …' if again else ''}")
        if node in seen:
            return
        seen.add(node)
        by_node: dict[Node, list[str]] = {}
        for edge in following.get(node, ()):
            by_node.setdefault(edge.target if answer.forward else edge.source, []).append(edge.how)
        for place, (other, hows) in enumerate(by_node.items(), start=1):
            last = place == len(by_node)
            draw(other, "" if tables else f"  ({', '.join(hows)})", rest + ("└─ " if last else "├─ "), rest + ("   " if last else "│  "))

    for start in answer.starts:
        if start in following or len(answer.starts) == 1:
            draw(start, "", "", "")
    return "\n".join(lines)


def document(answer: Answer, *, tables: bool = False) -> dict[str, Any]:
    """For programs."""

    def spelt(node: Node) -> str:
        return node.dataset if tables else str(node)

    return {
        "of": [spelt(node) for node in answer.starts],
        "direction": "downstream" if answer.forward else "upstream",
        "nodes": [{"node": spelt(one.node), "steps": one.steps, "by_value": one.by_value} for one in answer.reached],
        "edges": [{"from": spelt(edge.source), "to": spelt(edge.target), "how": edge.how.value} for edge in answer.edges],
    }


def impact(answer: Answer) -> dict[str, dict[str, list[str]]]:
    """By dataset: columns whose values are made of the column, columns that only depend on it, and whether rows come or go."""
    found: dict[str, dict[str, list[str]]] = {}
    for one in answer.reached:
        kind = "rows" if one.node.column == ROWS else "made_of_it" if one.by_value else "depends_on_it"
        found.setdefault(one.node.dataset, {"made_of_it": [], "depends_on_it": [], "rows": []})[kind].append(one.node.column)
    return found


def svg(answer: Answer, *, tables: bool = False) -> str:
    """A picture that needs nothing else: a column of boxes a step, upstream on the left. Dashed lines are influence, not value."""
    layers = _layers(answer)
    texts = {node: name_of(node, tables=tables) for layer in layers for node in layer}
    places: dict[Node, tuple[int, int, int]] = {}
    x = _MARGIN
    for layer in layers:
        width = max(len(texts[node]) for node in layer) * _CHAR_WIDTH + 16
        for row, node in enumerate(layer):
            places[node] = (x, _MARGIN + row * _ROW_HEIGHT, width)
        x += width + _GAP
    height = 2 * _MARGIN + max(len(layer) for layer in layers) * _ROW_HEIGHT
    body = [*_lines(answer.edges, places), *_boxes(texts, places, set(answer.starts))]
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {x - _GAP + _MARGIN} {height}" font-family="monospace" font-size="11">'
    return "\n".join([head, '<rect width="100%" height="100%" fill="#ffffff"/>', *body, "</svg>"])


def _layers(answer: Answer) -> list[list[Node]]:
    """The nodes by the longest way to them, in the order in which they are drawn from left to right: an edge never points backwards.

    Within a layer a node lies near those that it is tied to.
    """
    steps = dict.fromkeys((*answer.starts, *(one.node for one in answer.reached)), 0)
    tied: dict[Node, list[Node]] = {}
    for edge in answer.edges:
        near, far = (edge.source, edge.target) if answer.forward else (edge.target, edge.source)
        tied.setdefault(far, []).append(near)
    for _ in steps:  # nothing is made of itself, so no way has more steps than there are nodes
        longer = {node: max(steps[near] for near in of) + 1 for node, of in tied.items()}
        if longer.items() <= steps.items():
            break
        steps.update(longer)
    by_steps: dict[int, list[Node]] = {}
    for node, distance in steps.items():
        by_steps.setdefault(distance, []).append(node)
    row: dict[Node, float] = {}
    layers = []
    for _, layer_of in sorted(by_steps.items()):
        layer = sorted(layer_of, key=lambda node: (_middle(row[one] for one in tied.get(node, ()) if one in row), node))
        row.update({node: place for place, node in enumerate(layer)})
        layers.append(layer)
    return layers if answer.forward else layers[::-1]


def _middle(rows: Iterable[float]) -> float:
    found = list(rows)
    return sum(found) / len(found) if found else 0.0


def _lines(edges: Iterable[Edge], places: Mapping[Node, tuple[int, int, int]]) -> Iterable[str]:
    for edge in edges:
        (left, top, width), (to_left, to_top, _) = places[edge.source], places[edge.target]
        x1, y1, x2, y2 = left + width, top + 9, to_left, to_top + 9
        dashes = "" if edge.how.direct else ' stroke-dasharray="3 3"'
        bend = max(abs(x2 - x1) // 2, 30)
        path = f"M{x1} {y1} C{x1 + bend} {y1} {x2 - bend} {y2} {x2} {y2}"
        title = f"{edge.source} → {edge.target}: {edge.how.value}"
        yield f'<path d="{path}" fill="none" stroke="#9aa3ad" stroke-width="1"{dashes}><title>{escape(title)}</title></path>'


def _boxes(texts: Mapping[Node, str], places: Mapping[Node, tuple[int, int, int]], starts: set[Node]) -> Iterable[str]:
    for node, (left, top, width) in places.items():
        colour = _COLOURS.get(node.dataset.partition("/")[0], _OTHER)
        thick = 3 if node in starts else 1
        yield (
            f'<rect x="{left}" y="{top}" width="{width}" height="18" rx="3" fill="#f7f7f5" stroke="{colour}" stroke-width="{thick}"/>'
            f'<text x="{left + 8}" y="{top + 13}" fill="{colour}">{escape(texts[node])}</text>'
        )
