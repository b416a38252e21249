"""What an expression of PromQL says, and of what it speaks. It is read by a parser of PromQL, and worked out here as far as the
chart's alerts and dashboard go: rates are not extrapolated to the ends of their range, and a name that is not known is an error."""

from __future__ import annotations

import dataclasses
import math
import operator
import re
from collections.abc import Callable, Iterable, Iterator

import promql_parser as promql

Labels = frozenset[tuple[str, str]]  # with __name__ where a metric has kept it
Vector = dict[Labels, float]
Samples = list[tuple[float, float]]  # times and values


class Unknown(Exception):
    """An expression has something that nobody has needed here yet."""


@dataclasses.dataclass
class Recording:
    """Series as they were scraped: at each of these times a series has a sample, or there was none."""

    times: list[float]
    series: dict[Labels, Samples]

    def of(self, selector: promql.VectorSelector) -> Iterator[tuple[Labels, Samples]]:
        matches = [matcher(it) for it in selector.matchers.matchers]
        for labels, samples in self.series.items():
            known = dict(labels)
            if known["__name__"] == selector.name and all(match(known) for match in matches):
                yield labels, samples

    def last(self, at: float) -> float:
        """When it was last scraped."""
        return max((time for time in self.times if time <= at), default=math.nan)


def labels_of(**labels: str) -> Labels:
    return frozenset(labels.items())


def matcher(given: promql.Matcher) -> Callable[[dict[str, str]], bool]:
    name, value, kind = given.name, given.value, str(given.op)
    if kind in ("MatchOp.Equal", "MatchOp.NotEqual"):
        return lambda labels: (labels.get(name, "") == value) == (kind == "MatchOp.Equal")
    pattern = re.compile(value)
    return lambda labels: (pattern.fullmatch(labels.get(name, "")) is not None) == (kind == "MatchOp.Re")


def nodes(expression: str) -> list[promql.Expr]:
    """All that an expression is made of."""
    found: list[promql.Expr] = []
    promql.walk(promql.parse(expression), pre_visit=lambda node: found.append(node))
    return found


def selectors(expression: str) -> list[promql.VectorSelector]:
    kinds = {promql.VectorSelector: lambda it: it, promql.MatrixSelector: lambda it: it.vector_selector}
    return [kinds[type(node)](node) for node in nodes(expression) if type(node) in kinds]


def grouped_by(expression: str) -> set[str]:
    """The labels that it groups by, or matches sides by."""
    by = [node.modifier for node in nodes(expression) if isinstance(node, promql.AggregateExpr) and node.modifier]
    on = [node.modifier.matching for node in nodes(expression) if isinstance(node, promql.BinaryExpr) and node.modifier]
    return {label for modifier in (*by, *on) if modifier for label in modifier.labels}


def value(expression: str, of: Recording, at: float) -> Vector | float:
    """What it says at a time."""
    return _value(promql.parse(expression), of, at)


def _value(node: promql.Expr, of: Recording, at: float) -> Vector | float:
    match node:
        case promql.NumberLiteral():
            return node.val
        case promql.ParenExpr():
            return _value(node.expr, of, at)
        case promql.VectorSelector():
            last = of.last(at)
            found = ((labels, dict(samples).get(last)) for labels, samples in of.of(node))
            return {labels: it for labels, it in found if it is not None}
        case promql.AggregateExpr():
            return _aggregate(node, of, at)
        case promql.BinaryExpr():
            return _binary(node, _value(node.lhs, of, at), _value(node.rhs, of, at))
        case promql.Call():
            return _call(node, of, at)
    raise Unknown(f"{type(node).__name__}: {node.prettify()}")


def without_name(labels: Labels) -> Labels:
    return frozenset(it for it in labels if it[0] != "__name__")


def _group(labels: Labels, names: Iterable[str], keep: bool) -> Labels:
    return frozenset(it for it in labels if (it[0] in names) == keep and it[0] != "__name__")


# -- Functions


def _increase(samples: Samples, _: float) -> float:
    """By how much a counter has grown; one that has become less began anew."""
    return sum(now if now < before else now - before for (_, before), (_, now) in zip(samples, samples[1:]))


def _changes(samples: Samples, _: float) -> float:
    return sum(now != before for (_, before), (_, now) in zip(samples, samples[1:]))


RANGES: dict[str, tuple[int, Callable[[Samples, float], float]]] = {  # how many samples each takes at least
    "rate": (2, lambda samples, seconds: _increase(samples, seconds) / (samples[-1][0] - samples[0][0])),
    "increase": (2, _increase),
    "delta": (2, lambda samples, _: samples[-1][1] - samples[0][1]),
    "changes": (1, _changes),
    "min_over_time": (1, lambda samples, _: min(it for _, it in samples)),
    "max_over_time": (1, lambda samples, _: max(it for _, it in samples)),
}


def _call(node: promql.Call, of: Recording, at: float) -> Vector | float:
    name, arguments = node.func.name, node.args
    if name in RANGES:
        (matrix,), (least, function) = arguments, RANGES[name]
        seconds = matrix.range.total_seconds()
        found = {}
        for labels, samples in of.of(matrix.vector_selector):
            within = [it for it in samples if at - seconds < it[0] <= at]
            if len(within) >= least:
                found[without_name(labels)] = function(within, seconds)
        return found
    given = [_value(argument, of, at) for argument in arguments]
    match name:
        case "time":
            return at
        case "absent":
            return {} if given[0] else {frozenset(): 1.0}
        case "vector":
            return {frozenset(): given[0]}
        case "histogram_quantile":
            return _quantiles(*given)
    raise Unknown(f"the function {name}")


def _quantiles(quantile: float, buckets: Vector) -> Vector:
    groups: dict[Labels, list[tuple[float, float]]] = {}
    for labels, count in buckets.items():
        bound = float(dict(labels)["le"])
        groups.setdefault(_group(labels, ["le"], keep=False), []).append((bound, count))
    return {labels: _quantile(quantile, sorted(group)) for labels, group in groups.items()}


def _quantile(quantile: float, buckets: list[tuple[float, float]]) -> float:
    """As Prometheus does it: straight between the bounds of the bucket in which it lies."""
    rank = quantile * buckets[-1][1]
    if not rank:
        return math.nan
    low, before = 0.0, 0.0
    for bound, count in buckets:
        if count >= rank:
            return low if math.isinf(bound) else low + (bound - low) * (rank - before) / (count - before)
        low, before = bound, count
    return math.nan


def _aggregate(node: promql.AggregateExpr, of: Recording, at: float) -> Vector:
    modifier, kind = node.modifier, str(node.op)
    names, keep = (modifier.labels, str(modifier.type).endswith("By")) if modifier else ([], True)
    groups: dict[Labels, list[tuple[float, Labels]]] = {}
    for labels, it in _value(node.expr, of, at).items():
        groups.setdefault(_group(labels, names, keep), []).append((it, labels))
    if kind == "topk":
        most = int(_value(node.param, of, at))
        ranked = (sorted(group, key=lambda it: (-it[0], sorted(it[1]))) for group in groups.values())
        return {labels: it for group in ranked for it, labels in group[:most]}
    functions = {"sum": sum, "max": max, "min": min, "count": len, "avg": lambda all: sum(all) / len(all)}
    if kind not in functions:
        raise Unknown(f"the aggregation {kind}")
    return {labels: float(functions[kind]([it for it, _ in group])) for labels, group in groups.items()}


# -- Operators


def _divided(left: float, right: float) -> float:
    return left / right if right else math.nan if not left or math.isnan(left) else math.copysign(math.inf, left)


ARITHMETIC = {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": _divided}
COMPARISONS = {"==": operator.eq, "!=": operator.ne, ">": operator.gt, "<": operator.lt, ">=": operator.ge, "<=": operator.le}


def _binary(node: promql.BinaryExpr, left: Vector | float, right: Vector | float) -> Vector | float:
    sign = str(node.op)
    if sign in ("and", "or", "unless"):
        return _set(node, sign, left, right)
    if isinstance(left, dict) and isinstance(right, dict):
        key = _key(node)
        others = {key(labels): it for labels, it in right.items()}
        pairs = [(labels, it, others[key(labels)]) for labels, it in left.items() if key(labels) in others]
    elif isinstance(left, dict):
        pairs = [(labels, it, right) for labels, it in left.items()]
    elif isinstance(right, dict):
        pairs = [(labels, left, it) for labels, it in right.items()]
    else:
        return ARITHMETIC[sign](left, right)
    if sign in ARITHMETIC:
        return {without_name(labels): ARITHMETIC[sign](one, other) for labels, one, other in pairs}
    # A comparison keeps what it is true of, with the vector's value.
    is_right = not isinstance(left, dict)
    return {labels: other if is_right else one for labels, one, other in pairs if COMPARISONS[sign](one, other)}


def _key(node: promql.BinaryExpr) -> Callable[[Labels], Labels]:
    matching = node.modifier and node.modifier.matching
    if not matching:
        return without_name
    return lambda labels: _group(labels, matching.labels, str(matching.type).endswith("Include"))


def _set(node: promql.BinaryExpr, sign: str, left: Vector, right: Vector) -> Vector:
    key = _key(node)
    here, there = {key(labels) for labels in left}, {key(labels) for labels in right}
    if sign == "or":
        return left | {labels: it for labels, it in right.items() if key(labels) not in here}
    return {labels: it for labels, it in left.items() if (key(labels) in there) == (sign == "and")}
