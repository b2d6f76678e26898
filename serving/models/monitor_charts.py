"""The monitor's picture: what arrived of each measure, month by month, against what is usual for it."""

from collections.abc import Mapping, Sequence
from typing import Any

from features.months import month_end, parse_month
from serving.heat import Row, against_usual, heat_map
from serving.words import month_name

MOST = {"wide": 40, "narrow": 24}
MONTHS = {"wide": 24, "narrow": 9}


def arrivals_chart(
    arrivals: Sequence[Mapping[str, Any]], months: Sequence[str], labels: Mapping[str, Any], language: str, size: str
) -> bytes:
    """Return a heat map as SVG: a row a measure, in the order given, a column a month."""
    shown = list(months)[-MONTHS[size] :]
    rows = [
        Row(
            labels.get(row["measure"], {}).get(language, row["measure"]),
            against_usual([round(value) for value in row["rows"]])[-len(shown) :],
        )
        for row in list(arrivals)[: MOST[size]]
    ]
    return heat_map(rows, [month_name(month_end(parse_month(month)), language) for month in shown], language, size)
