"""A graph of columns: what each is made of, and what would change with it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from functools import cached_property
from typing import Final

from app.errors import UsageError

ROWS: Final = "*"
"""In place of a column: which rows the dataset has at all."""


class How(StrEnum):
    """In what way a column takes part in another; the words are OpenLineage's subtypes of transformations."""

    IDENTITY = "identity"  # the same value
    TRANSFORMATION = "transformation"  # the value, written otherwise or reckoned with
    AGGREGATION = "aggregation"  # values of many rows, summed or counted
    CONDITIONAL = "conditional"  # chooses between values
    FILTER = "filter"  # decides which rows there are
    GROUP_BY = "group_by"
    JOIN = "join"
    WINDOW = "window"  # decides which rows are looked at, by time or order

    @property
    def direct(self) -> bool:
        """Whether the value itself goes on, not only an influence of it."""
        return self in (How.IDENTITY, How.TRANSFORMATION, How.AGGREGATION)


Parts = Mapping[How, tuple[str, ...]]
"""What a column is made of: columns of one dataset, and in what way. The code that makes a column says so beside itself."""


@dataclass(frozen=True, order=True)
class Node:
    """A column of a dataset, or ROWS."""

    dataset: str
    column: str

    def __str__(self) -> str:
        return f"{self.dataset}.{self.column}"


@dataclass(frozen=True, order=True)
class Edge:
    """``target`` is made of ``source``, or depends on it."""

    source: Node
    target: Node
    how: How


@dataclass(frozen=True)
class Reached:
    """A node that a question came to: after how many steps, and whether by values alone, each step of the way."""

    node: Node
    steps: int
    by_value: bool


@dataclass(frozen=True)
class Answer:
    """What lies upstream or downstream of some nodes: nearest first; and the edges between all of them."""

    starts: tuple[Node, ...]
    forward: bool
    reached: tuple[Reached, ...]
    edges: tuple[Edge, ...]


@dataclass(frozen=True)
class Graph:
    """All datasets with their columns, and every edge between columns."""

    datasets: Mapping[str, tuple[str, ...]]
    edges: tuple[Edge, ...]

    def named(self, text: str) -> tuple[Node, ...]:
        """The nodes that ``TABLE`` (all of it) or ``TABLE.COLUMN`` names; UsageError names near ones if there is none.

        A table is called by its path or as SQL calls it: ``silver/transactions`` or ``silver_transactions``.
        """
        table, dot, column = text.partition(".")
        names = {name.replace("/", "_"): name for name in self.datasets} | {name: name for name in self.datasets}
        if table not in names:
            raise UsageError(f"there is no table {table}; {_near(table, sorted(self.datasets))}")
        dataset = names[table]
        if not dot:
            return tuple(Node(dataset, name) for name in (*self.datasets[dataset], ROWS))
        if column not in (*self.datasets[dataset], ROWS):
            raise UsageError(f"{dataset} has no column {column}; {_near(column, self.datasets[dataset])}")
        return (Node(dataset, column),)

    def upstream(self, starts: Iterable[Node], depth: int | None = None) -> Answer:
        """What these nodes are made of and depend on, at most ``depth`` steps away."""
        return self._walk(tuple(starts), depth, forward=False)

    def downstream(self, starts: Iterable[Node], depth: int | None = None) -> Answer:
        """What would change with these nodes, at most ``depth`` steps away."""
        return self._walk(tuple(starts), depth, forward=True)

    def of_tables(self) -> "Graph":
        """The same graph of whole tables: each is one node, and an edge says that any column goes from one to the other."""
        pairs: dict[tuple[str, str], How] = {}
        for edge in self.edges:
            pair = (edge.source.dataset, edge.target.dataset)
            if pair[0] != pair[1] and (pair not in pairs or edge.how.direct):
                pairs[pair] = How.TRANSFORMATION if edge.how.direct else edge.how
        edges = tuple(sorted(Edge(Node(a, ROWS), Node(b, ROWS), how) for (a, b), how in pairs.items()))
        return Graph(dict.fromkeys(self.datasets, ()), edges)

    def into(self, dataset: str) -> tuple[Edge, ...]:
        """The edges that end in a dataset: its column lineage."""
        return tuple(edge for edge in self.edges if edge.target.dataset == dataset)

    @cached_property
    def _outgoing(self) -> dict[Node, list[Edge]]:
        found: dict[Node, list[Edge]] = {}
        for edge in self.edges:
            found.setdefault(edge.source, []).append(edge)
        return found

    @cached_property
    def _incoming(self) -> dict[Node, list[Edge]]:
        found: dict[Node, list[Edge]] = {}
        for edge in self.edges:
            found.setdefault(edge.target, []).append(edge)
        return found

    def _walk(self, starts: tuple[Node, ...], depth: int | None, *, forward: bool) -> Answer:
        """Breadth first; a node is reached by value if any way there, of any length, is of values alone."""
        of = self._outgoing if forward else self._incoming
        steps = dict.fromkeys(starts, 0)
        by_value = set(starts)
        frontier, edges, distance = list(starts), set[Edge](), 0
        while frontier and (depth is None or distance < depth):
            distance += 1
            following = []
            for node in frontier:
                for edge in of.get(node, ()):
                    edges.add(edge)
                    other = edge.target if forward else edge.source
                    better = node in by_value and edge.how.direct and other not in by_value
                    if better:
                        by_value.add(other)
                    if other not in steps or better:
                        steps.setdefault(other, distance)
                        following.append(other)
            frontier = following
        found = [Reached(node, far, node in by_value) for node, far in steps.items() if node not in starts]
        return Answer(starts, forward, tuple(sorted(found, key=lambda one: (one.steps, one.node))), tuple(sorted(edges)))


def _near(name: str, known: Iterable[str]) -> str:
    names = list(known)
    near = get_close_matches(name, names, n=3, cutoff=0.5)
    return f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(names)}"
