"""Draw the picture of the dashboard: what its panels show of the run in recorded.txt.

    .cache/venv/bin/python tests/chart/dashboard.py     write docs/dashboard.svg"""

from __future__ import annotations

import math
import re
from html import escape
from typing import Any

import monitoring
import recording
from chart import ROOT
from promql import Recording, Vector, value

PICTURE = ROOT / "docs" / "dashboard.svg"
REFRESH = ".cache/venv/bin/python tests/chart/dashboard.py"

COLUMN, CELL, GAP = 60, 26, 6  # a column and a row of Grafana's grid, and what is left between panels, in pixels
COLOURS = ["#3b7dd8", "#e0752d", "#56a64b", "#b877d9", "#c4162a", "#1f9e9e", "#d6a400", "#705da0", "#8a5a44", "#6e7681"]
NAMED = {"green": "#2c8a3d", "red": "#c4162a", "orange": "#d9730d", "blue": "#3b7dd8"}
RANGE = "10s"  # what Grafana makes of $__rate_interval: four scrapes and a little
STYLE = (
    "text{font:11px system-ui,sans-serif;fill:#24292f}.t{font-weight:600;font-size:12px}.r{font-weight:600;font-size:14px}"
    ".l{fill:#57606a;font-size:10px}.b{font-weight:600;font-size:28px}.p{fill:#fff;stroke:#d0d7de}.g{stroke:#eaeef2}path{fill:none;stroke-width:1.5}"
)

Panel = dict[str, Any]
Point = tuple[float, float]
Line = tuple[str, list[float | None]]  # its legend, and a value for each scrape


def duration(seconds: float) -> str:
    for unit, size in (("y", 31_557_600), ("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{number(seconds / size)} {unit}"
    return f"{number(seconds)} s" if seconds >= 1 or not seconds else f"{number(seconds * 1000)} ms"


def number(it: float) -> str:
    return f"{it:.3g}" if abs(it) < 1000 else f"{it:.0f}"


def shown(it: float, unit: str) -> str:
    return duration(it) if unit == "s" else number(it)


def expression(target: dict[str, Any]) -> str:
    return monitoring.filled(target["expr"], RANGE)


def legend(template: str, labels: dict[str, str]) -> str:
    return re.sub(r"\{\{(\w+)\}\}", lambda found: labels.get(found[1], ""), template)


def lines(panel: Panel, of: Recording) -> list[Line]:
    """What a panel's targets say at each scrape, the highest first; those that lie on one another by name."""
    found: dict[str, list[float | None]] = {}
    for target in panel["targets"]:
        for index, at in enumerate(of.times):
            said = value(expression(target), of, at)
            vector: Vector = said if isinstance(said, dict) else {frozenset(): said}
            for labels, it in vector.items():
                if not math.isnan(it):
                    found.setdefault(legend(target["legendFormat"], dict(labels)), [None] * len(of.times))[index] = it
    if "stacking" in panel["fieldConfig"]["defaults"]["custom"]:
        return sorted(found.items())
    return sorted(found.items(), key=lambda it: (-max(at or 0 for at in it[1]), it[0]))


def stacked(all: list[Line]) -> list[Line]:
    below = [0.0] * max((len(values) for _, values in all), default=0)
    result = []
    for name, values in all:
        below = [base + (it or 0) for base, it in zip(below, values)]
        result.append((name, list(below)))
    return result


def ceiling(highest: float) -> float:
    """The next round number."""
    if highest <= 0:
        return 1
    size = 10 ** math.floor(math.log10(highest))
    return next(step * size for step in (1, 1.5, 2, 3, 4, 5, 6, 8, 10) if step * size >= highest * 0.999)


class Box:
    """Where a panel lies in the picture."""

    def __init__(self, panel: Panel) -> None:
        grid = panel["gridPos"]
        self.x, self.y = grid["x"] * COLUMN + GAP, grid["y"] * CELL + GAP
        self.width, self.height = grid["w"] * COLUMN - GAP, grid["h"] * CELL - GAP

    def text(self, right: float, down: float, text: str, kind: str, more: str = "") -> str:
        return f'<text x="{self.x + right:g}" y="{self.y + down:g}" class="{kind}"{more}>{escape(text)}</text>'


def row(panel: Panel) -> list[str]:
    return [Box(panel).text(2, CELL - GAP - 4, panel["title"], "r")]


def frame(panel: Panel, box: Box) -> list[str]:
    return [
        f'<g><title>{escape(panel["description"])}</title><rect x="{box.x}" y="{box.y}" width="{box.width}" height="{box.height}" rx="3" class="p"/>',
        box.text(8, 17, panel["title"], "t"),
    ]


def stat(panel: Panel, of: Recording) -> list[str]:
    """A number, as it was at the last scrape."""
    box, defaults = Box(panel), panel["fieldConfig"]["defaults"]
    said = list(value(expression(panel["targets"][0]), of, of.times[-1]).values())
    steps = [step["color"] for step in defaults["thresholds"]["steps"] if said and (step["value"] is None or said[0] >= step["value"])]
    text = shown(said[0], defaults["unit"]) if said else defaults["noValue"]
    colour = NAMED[steps[-1]] if steps else COLOURS[-1]
    return [*frame(panel, box), box.text(box.width / 2, 68, text, "b", f' text-anchor="middle" style="fill:{colour}"'), "</g>"]


def timeseries(panel: Panel, of: Recording) -> list[str]:
    box, defaults = Box(panel), panel["fieldConfig"]["defaults"]
    all = lines(panel, of)
    if not all:
        return [*frame(panel, box), box.text(box.width / 2, box.height / 2 + 8, "No data", "l", ' text-anchor="middle"'), "</g>"]
    names, rows = legends(box, [name for name, _ in all])
    is_stack = "stacking" in defaults["custom"]
    drawn = stacked(all) if is_stack else all
    most = ceiling(max((it for _, values in drawn for it in values if it is not None), default=0))
    left, top, bottom = 44, 28, box.height - 20 - 13 * rows
    width, height, begun, span = box.width - left - 12, bottom - top, of.times[0], of.times[-1] - of.times[0]
    out = frame(panel, box)
    for part in (0, 0.5, 1):
        level = bottom - part * height
        out.append(f'<line x1="{box.x + left}" x2="{box.x + left + width}" y1="{box.y + level:g}" y2="{box.y + level:g}" class="g"/>')
        out.append(box.text(left - 5, level + 3, shown(most * part, defaults["unit"]), "l", ' text-anchor="end"'))
    for minute in range(int(span // 60) + 1):
        out.append(box.text(left + width * minute * 60 / span, bottom + 13, f"{minute}:00", "l", ' text-anchor="middle"'))

    def points(values: list[float | None]) -> list[Point | None]:
        return [
            (box.x + left + width * (at - begun) / span, box.y + bottom - height * it / most) if it is not None else None
            for at, it in zip(of.times, values)
        ]

    below = points([0.0] * len(of.times))
    for index, (_, values) in enumerate(drawn):
        colour, line = COLOURS[index % len(COLOURS)], points(values)
        if is_stack:
            out.append(f'<path d="{path(line)}{path(below[::-1]).replace("M", "L", 1)}Z" style="fill:{colour};stroke:none" fill-opacity=".25"/>')
            below = line
        out.append(f'<path d="{path(line)}" stroke="{colour}"/>')
    return [*out, *names, "</g>"]


def path(points: list[Point | None]) -> str:
    """A line through the points, without those that lie on a level between two others."""
    parts, pen = [], "M"
    for before, point, after in zip([None, *points], points, [*points[1:], None]):
        if point is None:
            pen = "M"
        elif pen == "M" or not (before and after and before[1] == point[1] == after[1]):
            parts.append(f"{pen}{point[0]:.0f} {point[1]:.1f}".removesuffix(".0"))
            pen = "L"
    if pen == "L" and len(parts) == 1:
        parts.append("h1")  # one point alone
    return "".join(parts)


def legends(box: Box, names: list[str]) -> tuple[list[str], int]:
    """The names of the lines at the bottom, and how many rows of them there are."""
    places, right, rows = [], 8.0, 1
    for index, name in enumerate(names):
        width = 22 + 5.8 * len(name)
        if right + width > box.width and rows < 3:
            right, rows = 8.0, rows + 1
        if right + width > box.width - (80 if index + 1 < len(names) and rows == 3 else 0):
            places.append((box.width - 90, rows, -1, f"and {len(names) - index} more"))
            break
        places.append((right, rows, index, name))
        right += width
    out = []
    for right, at, index, name in places:
        down = box.height - 7 - 13 * (rows - at)
        if index >= 0:
            out.append(f'<rect x="{box.x + right:g}" y="{box.y + down - 5:g}" width="10" height="3" fill="{COLOURS[index % len(COLOURS)]}"/>')
        out.append(box.text(right + 13, down, name, "l"))
    return out, rows


DRAWN = {"row": lambda panel, _: row(panel), "stat": stat, "timeseries": timeseries}


def picture(dashboard: dict[str, Any], of: Recording) -> str:
    panels = dashboard["panels"]
    height = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in panels) * CELL + GAP
    width = 24 * COLUMN + GAP
    drawn = [line for panel in panels for line in DRAWN[panel["type"]](panel, of)]
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(dashboard["title"])}">'
    return "\n".join([head, f"<style>{STYLE}</style>", f'<rect width="{width}" height="{height}" fill="#f6f8fa"/>', *drawn, "</svg>", ""])


def main() -> None:
    PICTURE.write_text(picture(monitoring.dashboard(), recording.read()))


if __name__ == "__main__":
    main()
