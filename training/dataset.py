"""The training set: feature rows over many as-ofs with their labels, from what was known by a month, no later."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from features.cohort import cohort
from features.engine import FeatureRows, feature_names, feature_rows
from features.errors import Refusal
from features.histories.tables import Histories
from features.labels import labels, latest_labelled, the_risk
from features.months import month_of_day, month_text
from features.names import parse_name
from features.profile import Profile
from features.profile_rows import EventOutcome, Risk

WARM_UP_MONTHS = 6
"""Months of events before the first as-of: with less, every window is empty."""
RARE = frozenset({"sum", "decay", "months_since", "days_since", "ever", "mean"})
MOST_AS_OFS = 18
MOST_ROWS = 150_000
"""Neighbouring months of a long history repeat each other: more of them cost time and bring nothing (README)."""
MOST_VALUES = 200_000_000

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int32]


@dataclass(frozen=True)
class TrainingSet:
    """Rows with a known label, sorted by officer and as-of; checked when built.

    ``inputs`` are the features that a model may use; ``values`` has a column for each of ``names``, which may hold
    more: what the rule counts even where its measure is behind the purpose firewall. ``third`` deals the
    officers into three parts by their id, the same whoever else is there. ``weight`` is what a row counts in
    fitting and calibration (1 but for treated spells). ``known_then`` holds a row's label as it was known by each of
    ``known_at`` (months), NaN where it was not: a fold must not learn from what was recorded after its test began.
    """

    risk: str
    until: int
    step: int
    officer: Ints
    as_of: Ints
    third: Ints
    names: tuple[str, ...]
    inputs: tuple[str, ...]
    values: Floats
    label: Floats
    weight: Floats
    known_at: tuple[int, ...]
    known_then: Floats

    def __post_init__(self) -> None:
        if not len(self.officer) == len(self.as_of) == len(self.label) == len(self.values):
            raise ValueError("Rows and labels of a training set differ in number.")
        if np.isnan(self.label).any():
            raise ValueError("A training set holds known labels only.")

    def __len__(self) -> int:
        return len(self.label)

    @property
    def as_ofs(self) -> tuple[int, ...]:
        """The as-ofs that have rows, ascending."""
        return tuple(int(month) for month in np.unique(self.as_of))

    def columns(self, chosen: tuple[str, ...]) -> npt.NDArray[np.int64]:
        """Return the positions of some names."""
        place = {name: number for number, name in enumerate(self.names)}
        return np.asarray([place[name] for name in chosen], dtype=np.int64)

    def take(self, rows: npt.NDArray[Any]) -> "TrainingSet":
        """Return the chosen rows (a mask or positions)."""
        parts = {
            name: getattr(self, name)[rows]
            for name in ("officer", "as_of", "third", "values", "label", "weight", "known_then")
        }
        return replace(self, **parts)

    def known_by(self, month: int) -> "TrainingSet":
        """Return the rows with the labels that were known by a month; as they are where that was not asked for."""
        if month not in self.known_at:
            return self
        then = self.known_then[:, self.known_at.index(month)]
        return replace(self.take(~np.isnan(then)), label=then[~np.isnan(then)])

    def part(self, third: int, inside: bool) -> "TrainingSet":
        """Return the rows of one third of the officers, or those of the other two."""
        return self.take((self.third == third) == inside)

    def at(self, months: tuple[int, ...]) -> "TrainingSet":
        """Return the rows of some as-ofs."""
        return self.take(np.isin(self.as_of, months))


def training_set(
    histories: Histories, risk: str, *, until: int | None = None, shared: FeatureRows | None = None
) -> TrainingSet:
    """Return the rows and labels of a risk as known by the end of month ``until`` (default: the last recorded).

    Only as-ofs whose horizon and maturity are over by then are used, thinned to a budget of as-ofs, rows and
    values (``step`` tells how). Rows found in ``shared`` (see shared_rows) are not computed again. Raises a
    Refusal when no label is positive or none is negative.
    """
    rule = the_risk(histories, risk)
    end = last_month(histories, until)
    known = histories.until(end)
    inputs, wanted = _columns(known.profile, rule)
    as_ofs, step = _thinned(known, _usable(known, risk, end), len(wanted))
    rows = _among(shared, as_ofs, wanted) or feature_rows(known, as_ofs, names=wanted)
    outcome = labels(known, risk, as_ofs, until=end)
    if not np.array_equal(rows.officer, outcome.officer) or not np.array_equal(rows.as_of, outcome.as_of):
        raise ValueError("Feature rows and labels are not of the same persons and months.")
    built = _known_only(known, risk, (end, step), (rows, outcome.label, inputs))
    _both_outcomes(built, rule)
    return built


def with_early_labels(histories: Histories, rows: TrainingSet, months: Sequence[int]) -> TrainingSet:
    """Return the training set with its labels as they were known by the end of each of some months, too.

    Late records change a label: what was not yet recorded when a fold's test months began is no label to learn from.
    """
    known = histories.until(rows.until)
    columns = []
    for month in months:
        told = labels(known, rows.risk, rows.as_ofs, until=month)
        key = told.officer.astype(np.int64) * 2**20 + told.as_of
        mine = rows.officer.astype(np.int64) * 2**20 + rows.as_of
        order = np.argsort(key)
        place = order[np.minimum(np.searchsorted(key[order], mine), len(key) - 1)]
        columns.append(np.where(key[place] == mine, told.label[place], np.nan))
    return replace(rows, known_at=tuple(months), known_then=np.column_stack(columns).astype(np.float32))


def training_size(histories: Histories, risk: str, *, until: int | None = None) -> int:
    """Return about how many values training_set will hold; 0 where it will be refused."""
    try:
        as_ofs, columns = training_months(histories, risk, until=until)
    except Refusal:
        return 0  # training_set will say it of this risk
    return len(as_ofs) * len(columns) * len(cohort(histories, as_ofs[-1]))


def training_months(histories: Histories, risk: str, *, until: int | None = None) -> tuple[list[int], tuple[str, ...]]:
    """Return the as-ofs that training_set takes its rows from, and the columns of these rows; its Refusals too."""
    end = last_month(histories, until)
    known = histories.until(end)
    wanted = _columns(known.profile, the_risk(known, risk))[1]
    return _thinned(known, _usable(known, risk, end), len(wanted))[0], wanted


def shared_rows(histories: Histories, risks: Sequence[str], *, until: int | None = None) -> FeatureRows | None:
    """Return feature rows for the training sets of several risks at once; None where sharing would not pay.

    The rows are those that training_set would compute itself; a risk without any usable month is left out.
    """
    end = last_month(histories, until)
    known, months, columns = histories.until(end), set[int](), dict[str, None]()
    for risk in risks:
        names = _columns(known.profile, the_risk(known, risk))[1]
        try:
            as_ofs, step = _thinned(known, _usable(known, risk, end), len(names))
        except Refusal:
            continue  # training_set will say it of this risk, and the others go on
        if step > 1:
            return None
        months.update(as_ofs)
        columns.update(dict.fromkeys(names))
    return feature_rows(known, sorted(months), names=tuple(columns)) if months and len(risks) > 1 else None


def _columns(profile: Profile, rule: Risk) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What the model may use, and that with what the rule counts."""
    inputs = tuple(n for n in feature_names(profile, sensitive=rule.purpose == "wellness") if _worth(profile, n))
    return inputs, (*inputs, *(name for name in _counted(profile, rule) if name not in inputs))


def _worth(profile: Profile, name: str) -> bool:
    """Honours and offers are rare: their sums and times since say all; a summed measure's mean is its sum again."""
    part = parse_name(name)
    measure = profile.measures.get(part.group)
    if measure is None:
        return True
    if any(part.group == risk.acted_on for risk in profile.risks.values()):
        return False  # a flag's own aftermath is no reason for the next flag
    if measure.dimension in ("honour", "action"):
        return part.statistic in RARE
    return not (part.statistic == "mean" and measure.aggregate == "sum")


def _among(shared: FeatureRows | None, as_ofs: list[int], wanted: tuple[str, ...]) -> FeatureRows | None:
    if (
        shared is None
        or not set(as_ofs) <= set(np.unique(shared.as_of).tolist())
        or not set(wanted) <= set(shared.names)
    ):
        return None
    place = {name: number for number, name in enumerate(shared.names)}
    chosen = shared.take(np.isin(shared.as_of, as_ofs))
    return replace(chosen, names=wanted, values=chosen.values[:, [place[name] for name in wanted]])


def last_month(histories: Histories, until: int | None) -> int:
    """Return the last month that may be used: ``until``, or the month of the last recorded row if that is earlier."""
    if not len(histories.events):
        raise Refusal("There are no events to learn from.", hint="Ingest a history export first.")
    recorded = int(month_of_day(histories.last_recorded))
    return recorded if until is None else min(until, recorded)


def _counted(profile: Profile, risk: Risk) -> list[str]:
    """The counts of the outcome's own measure, for the rule and the count rivals."""
    if not isinstance(risk.outcome, EventOutcome):
        return []
    heads = tuple(f"{risk.outcome.measure}__{statistic}__" for statistic in ("sum", "mean"))
    return [name for name in feature_names(profile) if name.startswith(heads)]


def _usable(histories: Histories, name: str, end: int) -> list[int]:
    risk = histories.profile.risks[name]
    if not len(histories.events):
        raise Refusal(f"Nothing was recorded by {month_text(end)}.", hint="Choose a later --until.")
    first = int(month_of_day(histories.events.occurred.min())) + WARM_UP_MONTHS - 1
    last = latest_labelled(histories, name, until=end)
    first = max(first, _outcome_recorded_from(histories, risk) - 1)
    start = next((month for month in range(first, last + 1) if len(cohort(histories, month).officer)), last + 1)
    if start > last:
        raise Refusal(
            f"No as-of has a label that is known by {month_text(end)}: it takes {WARM_UP_MONTHS} months of events "
            f"before, and {risk.horizon_months} + {risk.maturity_months} months (horizon and maturity) after."
        )
    return list(range(start, last + 1))


def _outcome_recorded_from(histories: Histories, risk: Risk) -> int:
    """The month of the outcome's first event: before it nobody counted, and a label of 0 says nothing."""
    if not isinstance(risk.outcome, EventOutcome):
        return 0
    mine = histories.events.measure == histories.profile.measure_number[risk.outcome.measure]
    return int(month_of_day(histories.events.occurred[mine].min())) if mine.any() else 0


def _thinned(histories: Histories, months: list[int], columns: int) -> tuple[list[int], int]:
    """Every month, or every second, third ... counted from the last, so that the set stays within its budget."""
    persons = max(1, len(cohort(histories, months[-1]).officer))
    most = min(MOST_AS_OFS, MOST_ROWS // persons, MOST_VALUES // (persons * columns))
    step = max(1, -(-len(months) // max(4, most)))
    return months[::-1][::step][::-1], step


def _known_only(
    histories: Histories, risk: str, when: tuple[int, int], parts: tuple[Any, npt.NDArray[Any], tuple[str, ...]]
) -> TrainingSet:
    rows, label, inputs = parts
    # A month where only the reached outcomes are known would teach that everyone is at risk.
    closed = np.unique(rows.as_of[label == 0])
    keep = ~np.isnan(label) & np.isin(rows.as_of, closed)
    third = np.asarray([zlib.crc32(name.encode()) % 3 for name in histories.officers.tolist()], dtype=np.int32)
    return TrainingSet(
        risk=risk,
        until=when[0],
        step=when[1],
        officer=rows.officer[keep],
        as_of=rows.as_of[keep],
        third=third[rows.officer[keep]],
        names=tuple(rows.names),
        inputs=inputs,
        values=rows.values if keep.all() else rows.values[keep],
        label=label[keep].astype(np.float32),
        weight=np.ones(int(keep.sum()), dtype=np.float32),
        known_at=(),
        known_then=np.empty((int(keep.sum()), 0), dtype=np.float32),
    )


def _both_outcomes(built: TrainingSet, risk: Risk) -> None:
    positives = int(built.label.sum())
    if not len(built):
        raise Refusal(
            f"No month of '{built.risk}' has both outcomes closed by {month_text(built.until)}: "
            "not one person without the outcome was seen.",
            hint=f"Both outcomes must have been seen; the outcome is {risk.outcome}.",
        )
    if positives == 0 or positives == len(built):
        which = "positive" if positives == 0 else "negative"
        raise Refusal(
            f"There is no {which} label for '{built.risk}' among {len(built)} labelled rows "
            f"up to {month_text(built.until)}.",
            hint=f"Both outcomes must have been seen; the outcome is {risk.outcome}.",
        )
