import json
from typing import Any
from xml.etree import ElementTree

import pytest
from typer.testing import CliRunner

from app.contracts.lake import AUDIT, RUNS, SHADOW_SCORES, TABLES
from app.lineage.graph import ROWS, Edge, Graph, How, Node
from pipelines.cli import app
from pipelines.lineage import OF_THE_RUN, graph, made_from


def run(*words: str) -> Any:
    return CliRunner().invoke(app, ["lineage", *words])


def test_every_column_of_every_table_has_an_origin_or_says_of_a_run_what_the_run_knows() -> None:
    made = {edge.target for edge in graph().edges}
    own = {RUNS.path: {"sequence", "started_at", "previous_hash"}, "control/feedback": {"sequence"}, "gold/drift_daily": {"subject"}}
    own |= {SHADOW_SCORES.path: {"rollout", "mode", "kind", "error", "answered_by"}, "quarantine/transactions": {"status"}}
    own |= {"gold/data_quality_daily": {"dimension"}, "gold/quarantine_daily": {"as_of_date"}}
    own |= {"control/corrections": {"act", "proposal", "correction", "rule", "who", "why", "sequence", "decided_at"}}
    own |= {AUDIT.path: set(AUDIT.schema.names)}  # it is made of what happens, not of data
    for contract in TABLES:
        columns = {name for name in contract.schema.names if Node(contract.path, name) not in made}
        assert columns <= OF_THE_RUN | own.get(contract.path, set()), contract.path


def test_every_edge_is_between_columns_that_there_are() -> None:
    for edge in graph().edges:
        for node in (edge.source, edge.target):
            assert node.column in (*graph().datasets[node.dataset], ROWS), edge


def test_upstream_of_a_figure_leads_to_the_landing_columns() -> None:
    said = run("upstream", "gold/account_daily.net_minor")
    assert said.exit_code == 0
    assert "silver/transactions.amount_minor  (aggregation)" in said.stdout
    assert "landing/transactions.amount  (transformation)" in said.stdout


def test_depth_ends_the_way() -> None:
    document = json.loads(run("upstream", "gold_account_daily.net_minor", "--depth", "1", "--format", "json").stdout)
    assert {node["steps"] for node in document["nodes"]} == {1}
    assert "silver/transactions.amount_minor" in {node["node"] for node in document["nodes"]}


def test_a_table_is_drawn_as_a_table() -> None:
    document = json.loads(run("downstream", "silver/transactions", "--format", "json").stdout)
    assert document["of"] == ["silver/transactions"]
    assert {"gold/scores", "gold/alerts", "gold/account_daily", "features/payments"} <= {node["node"] for node in document["nodes"]}


@pytest.mark.parametrize("of", ["silver/transactions", "silver/transactions.amount_minor"])
@pytest.mark.parametrize("way", ["upstream", "downstream"])
def test_the_picture_is_one_svg_with_every_node_and_needs_nothing_else(way: str, of: str) -> None:
    picture = run(way, of, "--format", "svg").stdout
    drawn = ElementTree.fromstring(picture)  # noqa: S314 (our own)
    document = json.loads(run(way, of, "--format", "json").stdout)
    names = {node["node"] for node in document["nodes"]} | set(document["of"])
    texts = {"".join(text.itertext()) for text in drawn.iter("{http://www.w3.org/2000/svg}text")}
    assert {name if not name.endswith(".*") else f"which rows {name[:-2]} has" for name in names} == texts
    assert "href" not in picture
    assert "url(" not in picture


def test_impact_tells_what_is_made_of_a_column_from_what_only_depends_on_it() -> None:
    found = json.loads(run("impact", "silver/transactions.channel", "--format", "json").stdout)["impact"]
    assert found["gold/channel_daily"] == {
        "made_of_it": ["channel"],
        "depends_on_it": ["average_minor", "net_minor", "transactions", "value_minor"],
        "rows": ["*"],
    }
    assert set(found) == {"gold/channel_daily"}
    said = run("impact", "landing/transactions.amount").stdout
    assert "gold/scores  (rows come or go)" in said
    assert "made of it    amount_minor" in said


@pytest.mark.parametrize(
    ("of", "near"),
    [
        ("silver/transaction.amount_minor", "there is no table silver/transaction; did you mean silver/transactions"),
        ("silver/transactions.amount", "silver/transactions has no column amount; did you mean amount_minor"),
        ("nothing.like", "there is no table nothing; there are "),
    ],
)
def test_an_unknown_name_is_an_error_that_names_near_ones(of: str, near: str) -> None:
    said = run("impact", of)
    assert said.exit_code == 2
    assert near in " ".join(said.output.split())


def test_a_way_by_value_counts_though_a_shorter_one_is_not() -> None:
    a, b, c, d = (Node("t", name) for name in "abcd")
    small = Graph(
        {"t": ("a", "b", "c", "d")},
        (Edge(a, d, How.FILTER), Edge(a, b, How.IDENTITY), Edge(b, c, How.IDENTITY), Edge(c, d, How.AGGREGATION)),
    )
    found = {one.node: (one.steps, one.by_value) for one in small.downstream([a]).reached}
    assert found == {b: (1, True), c: (2, True), d: (1, True)}


def test_a_catalogue_is_told_what_each_table_is_made_from() -> None:
    assert made_from()["gold/account_daily"] == ("silver/transactions",)
    assert made_from()["bronze/transactions"] == ("landing/transactions",)
    assert set(made_from()) >= {contract.path for contract in TABLES if contract is not AUDIT}


def test_nothing_is_made_of_itself() -> None:
    for node in {edge.source for edge in graph().edges}:
        assert node not in {one.node for one in graph().downstream([node]).reached}
        assert all(edge.target != node for edge in graph().downstream([node]).edges), node


def test_in_a_picture_every_edge_points_to_the_right() -> None:
    for of in ("silver/transactions", "silver/transactions.amount_minor"):
        drawn = ElementTree.fromstring(run("downstream", of, "--format", "svg").stdout)  # noqa: S314 (our own)
        for path in drawn.iter("{http://www.w3.org/2000/svg}path"):
            words = path.attrib["d"].split()
            assert int(words[0].removeprefix("M")) < int(words[-2])
