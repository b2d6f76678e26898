"""The picture of what arrived: a row a series, a column a month, a cross where a hole is."""

from collections.abc import Mapping, Sequence

from features.months import month_end, parse_month
from serving.arrivals.arrived import Counts, Hole
from serving.heat import Row, against_usual, heat_map
from serving.words import month_name

MONTHS = {"wide": 36, "narrow": 12}
MOST = {"wide": 60, "narrow": 30}


def arrived_chart(
    series: Sequence[tuple[str, Counts]],
    months: Sequence[str],
    *,
    holes: Sequence[Hole],
    labels: Mapping[str, str],
    language: str,
    size: str,
) -> bytes:
    """Return the heat map as SVG, the series in the order given, as many as are drawn."""
    shown = list(months)[-MONTHS[size] :]
    crosses = {(hole.measure, hole.month) for hole in holes}
    rows = [
        Row(
            labels.get(key, key),
            against_usual(counts.tolist())[-len(shown) :],
            frozenset(place for place, month in enumerate(shown) if (key, month) in crosses),
        )
        for key, counts in series[: MOST[size]]
    ]
    return heat_map(rows, [month_name(month_end(parse_month(month)), language) for month in shown], language, size)
