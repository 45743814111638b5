"""Small plots: where figures stand, and that what is written on them is text."""

from datetime import date, timedelta
from xml.etree import ElementTree as Xml

from hypothesis import given
from hypothesis import strategies as st

from pipelines import plots

DAY = date(2026, 3, 1)


def days(*values: float | None) -> list[plots.Point]:
    return [(DAY + timedelta(place), value) for place, value in enumerate(values)]


def svg(picture: str) -> Xml.Element:
    return Xml.fromstring(picture)  # noqa: S314 (our own)


def dots(picture: str) -> list[tuple[float, float]]:
    return [(float(dot.attrib["cx"]), float(dot.attrib["cy"])) for dot in svg(picture).iter("circle")]


def said(picture: str) -> list[str | None]:
    return [text.text for text in svg(picture).iter("text")]


def test_the_greatest_figure_is_above_and_days_go_to_the_right() -> None:
    (x1, y1), (x2, y2), (x3, y3) = dots(plots.line(days(0.5, 1.0, 0.75), "share"))
    assert x1 < x2 < x3
    assert y2 < y3 < y1
    assert y3 - y2 == y1 - y3


def test_days_that_are_missing_keep_their_room() -> None:
    points = [(DAY, 1.0), (DAY + timedelta(1), 2.0), (DAY + timedelta(9), 1.0)]
    (x1, _), (x2, _), (x3, _) = dots(plots.line(points, "share"))
    assert abs((x3 - x2) - 8 * (x2 - x1)) < 0.5


def test_the_line_breaks_where_there_is_no_figure() -> None:
    picture = svg(plots.line(days(1, 2, None, 3, 4, None), "share"))
    assert len(list(picture.iter("polyline"))) == 2
    assert len(list(picture.iter("circle"))) == 4


def test_the_axes_say_least_greatest_first_and_last() -> None:
    assert said(plots.line(days(0.5, 1.0), "share", "{:.0%}")) == ["50%", "100%", "2026-03-01", "2026-03-02"]
    assert said(plots.bars(days(10, 1500), "rows")) == ["0", "1,500", "2026-03-01", "2026-03-02"]


def test_one_figure_stands_in_the_middle_and_is_said_once() -> None:
    picture = plots.line(days(0.5), "share")
    assert said(picture) == ["0.5", "2026-03-01"]
    assert len(dots(picture)) == 1


def test_bars_are_as_high_as_their_figures() -> None:
    heights = [float(bar.attrib["height"]) for bar in svg(plots.bars(days(10, 20, 0, None), "rows")).iter("rect")]
    assert heights[1] == 2 * heights[0]
    assert heights[2:] == [0.0]


def test_nothing_to_plot_is_an_empty_frame() -> None:
    for picture in (plots.line([], "share"), plots.line(days(None, None), "share"), plots.bars([], "rows")):
        assert not list(svg(picture).iter("circle"))
        assert not list(svg(picture).iter("rect"))


def test_a_title_is_text_whatever_it_says() -> None:
    picture = svg(plots.line(days(1), '"><script>alert(1)</script>'))
    assert [element.tag for element in picture.iter() if "script" in element.tag] == []
    assert picture.findtext("title") == '"><script>alert(1)</script>'


@given(st.lists(st.none() | st.floats(0, 1e15), max_size=30))
def test_every_figure_is_inside_the_frame(values: list[float | None]) -> None:
    for x, y in dots(plots.line(days(*values), "share")):
        assert 0 <= x <= 360
        assert 0 <= y <= 110
    for bar in svg(plots.bars(days(*values), "rows")).iter("rect"):
        assert float(bar.attrib["height"]) >= 0
        assert float(bar.attrib["y"]) + float(bar.attrib["height"]) <= 110
