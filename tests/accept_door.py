"""The door on the whole: many made-up requests to every call of the API as every role."""

import collections
import tempfile
from collections.abc import Iterator
from pathlib import Path

from features.assessment.assess import assess
from features.histories.store import load_histories
from features.months import month_of_day
from serving.access.roles import Role
from serving.app import create_app
from serving.assessed.storing import store_assessment
from serving.database import open_database
from tests.serving_fixtures import _made
from tests.store_fixtures import copied, new_database, postgres
from tests.test_schema import asked, headers_of, known, whole_api

EXAMPLES = 30
"""Requests to each call as each role, on each store."""


def door() -> Iterator[tuple[str, str, str, bool]]:
    """Give a row for each store: how many requests were sent, and how many answers were 5xx or outside the schema."""
    home = _made()
    engine, histories = open_database(home), load_histories(home)
    store_assessment(assess(histories, int(month_of_day(histories.last_recorded))), engine)
    engine.dispose()
    with postgres() as server:
        url = new_database(server)
        copied(home, url)
        yield _asked_all(home, None)
        yield _asked_all(home, url)


def _asked_all(home: Path, url: str | None) -> tuple[str, str, str, bool]:
    engine = open_database(home, url)
    calls, wrong, statuses = whole_api(create_app(home, engine)), [], collections.Counter[int]()
    for role in Role:
        headers, there = headers_of(engine, role.value), known(engine)
        for call in calls:
            faults, seen = asked(call, headers, there, examples=EXAMPLES)
            wrong += [f"{role.value} {fault}" for fault in faults]
            statuses.update(seen)
    name = engine.dialect.name
    engine.dispose()
    kept = Path(tempfile.gettempdir()) / f"jingxing-door-faults-{name}.txt"
    kept.write_text("\n\n".join(wrong), encoding="utf-8")
    told = f"{sum(statuses.values()):,} requests to {len(calls)} calls as 7 roles"
    figure = f"{len(wrong)} of {told}; {statuses[200] + statuses[201]:,} answered 200 or 201"
    return f"door: {name}, answers that are 5xx or outside the schema", figure, "0", not wrong
