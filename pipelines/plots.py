"""Small plots as SVG, to stand inside a page: figures by day, as a line or as bars."""

from collections.abc import Sequence
from datetime import date
from xml.etree import ElementTree as Xml

Point = tuple[date, float | None]
"""A day and its figure; None where there was nothing to count."""

_WIDTH, _HEIGHT = 360, 110
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 8, 10, 20  # room for the figures and the days
_ACROSS, _DOWN = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM


def line(points: Sequence[Point], title: str, form: str = "{:.4g}") -> str:
    """A line through the figures, days in order, from the least figure to the greatest; it breaks where there is none."""
    shown = [value for _, value in points if value is not None]
    low, high = (min(shown), max(shown)) if shown else (0.0, 0.0)
    picture = _picture(points, title, form.format(low), form.format(high))
    for stretch in _stretches(points):
        places = [(_x(points, day), _y(value, low, high)) for day, value in stretch]
        if len(places) > 1:
            Xml.SubElement(picture, "polyline", {"class": "line", "points": " ".join(f"{x:.1f},{y:.1f}" for x, y in places)})
        for (x, y), (day, value) in zip(places, stretch, strict=True):
            dot = Xml.SubElement(picture, "circle", {"class": "dot", "cx": f"{x:.1f}", "cy": f"{y:.1f}", "r": "2"})
            Xml.SubElement(dot, "title").text = f"{day}: {form.format(value)}"
    return Xml.tostring(picture, encoding="unicode")


def bars(points: Sequence[Point], title: str, form: str = "{:,.0f}") -> str:
    """A bar a day, from zero; figures are not negative."""
    high = max((value for _, value in points if value is not None), default=0.0)
    picture = _picture(points, title, "0", form.format(high))
    days = (points[-1][0] - points[0][0]).days + 1 if points else 1
    width = max(_ACROSS / days * 0.8, 0.5)
    for day, value in points:
        if value is not None:
            top = _y(value, 0.0, high) if high else float(_TOP + _DOWN)
            place = {"x": f"{_x(points, day) - width / 2:.1f}", "y": f"{top:.1f}", "width": f"{width:.1f}"}
            bar = Xml.SubElement(picture, "rect", {"class": "bar", **place, "height": f"{_TOP + _DOWN - top:.1f}"})
            Xml.SubElement(bar, "title").text = f"{day}: {form.format(value)}"
    return Xml.tostring(picture, encoding="unicode")


def _picture(points: Sequence[Point], title: str, low: str, high: str) -> Xml.Element:
    """The frame: a title for who cannot see it, the least and greatest figure, the first and last day."""
    picture = Xml.Element("svg", {"class": "plot", "viewBox": f"0 0 {_WIDTH} {_HEIGHT}", "role": "img", "aria-label": title})
    Xml.SubElement(picture, "title").text = title
    bottom = _TOP + _DOWN
    Xml.SubElement(picture, "path", {"class": "axis", "d": f"M{_LEFT} {_TOP}V{bottom}H{_WIDTH - _RIGHT}"})
    texts = [(_LEFT - 4, bottom, "end", low), (_LEFT - 4, _TOP + 6, "end", high)]
    if points:
        first, last = points[0][0], points[-1][0]
        texts.append((_LEFT, _HEIGHT - 4, "start", str(first)))
        texts += [(_WIDTH - _RIGHT, _HEIGHT - 4, "end", str(last))] if last != first else []
    for x, y, anchor, text in texts if low != high else texts[1:]:
        Xml.SubElement(picture, "text", {"x": str(x), "y": str(y), "text-anchor": anchor}).text = text
    return picture


def _stretches(points: Sequence[Point]) -> list[list[tuple[date, float]]]:
    """The figures between those that are missing."""
    found: list[list[tuple[date, float]]] = [[]]
    for day, value in points:
        if value is None:
            found.append([])
        else:
            found[-1].append((day, value))
    return [stretch for stretch in found if stretch]


def _x(points: Sequence[Point], day: date) -> float:
    """Where a day stands; the only one in the middle. Days that are missing keep their room."""
    days = (points[-1][0] - points[0][0]).days + 1
    return _LEFT + _ACROSS * ((day - points[0][0]).days + 0.5) / days


def _y(value: float, low: float, high: float) -> float:
    """Where a figure stands: the greatest above, and in the middle if all are the same."""
    return _TOP + _DOWN * (0.5 if high == low else (high - value) / (high - low))
