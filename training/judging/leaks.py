"""The leak test: training rows are made again from what was recorded by their as-of, and must be the same."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from features.engine import feature_rows
from features.histories.tables import Histories
from features.labels import labels
from features.months import month_text
from features.profile import Profile
from training.dataset import TrainingSet
from training.folds import spread

SHOWN = 3
CHECKED = 5
"""So many as-ofs, spread over all with the last among them, are made again, and the first."""


@dataclass(frozen=True)
class LeakTest:
    """Whether the rows held, and what was found in both languages."""

    passed: bool
    en: str
    zh: str

    def card(self) -> dict[str, Any]:
        """Return what the gate reads."""
        return {"passed": self.passed, "told": self.en, "told_zh": self.zh}

    def lines(self) -> list[str]:
        """Return one sentence."""
        return [f"  leak test: {self.en}"]


def leak_test(
    histories: Histories, rows: TrainingSet, *, names: Sequence[str] | None = None, as_ofs: Sequence[int] | None = None
) -> LeakTest:
    """Return whether features and labels of a training set hold nothing that was recorded too late.

    At each of ``as_ofs`` (default: the first, and five spread to the last) the features ``names`` (default: those a
    model may use) are computed again from histories cut at that as-of, and compared to the bit. Labels are made again
    from histories cut at the set's ``until``; each 0 must have its horizon and maturity over by then.
    """
    chosen = tuple(as_ofs) if as_ofs is not None else (*rows.as_ofs[:1], *spread(rows.as_ofs, CHECKED))
    columns = tuple(names) if names is not None else rows.inputs
    late = [*_late_features(histories, rows, (tuple(dict.fromkeys(chosen)), columns)), *_late_labels(histories, rows)]
    if late:
        return LeakTest(False, "; ".join(en for en, _ in late), "；".join(zh for _, zh in late))
    months = ", ".join(month_text(month) for month in dict.fromkeys(chosen))
    return LeakTest(
        True,
        f"{len(columns)} features at {months} are the same to the bit when only what was recorded by then is there; "
        f"every label was complete by {month_text(rows.until)}",
        f"只用 {months} 之前已登记的记录重算 {len(columns)} 个特征，逐位一致；"
        f"所有标签在 {month_text(rows.until)} 之前已完整",
    )


def _late_features(
    histories: Histories, rows: TrainingSet, what: tuple[tuple[int, ...], tuple[str, ...]]
) -> list[tuple[str, str]]:
    as_ofs, names = what
    found = []
    for month in as_ofs:
        mine = rows.at((month,))
        cut = feature_rows(histories.until(month), [month], names=names)
        differs = _differing(mine, cut.values, (cut.officer, rows.columns(names)))
        if differs.any():
            which = [names[number] for number in np.flatnonzero(differs.any(axis=0))]
            more = f" and {len(which) - SHOWN} more" if len(which) > SHOWN else ""
            shown, at = ", ".join(which[:SHOWN]), month_text(month)
            count = int(differs.any(axis=1).sum())
            found.append(
                (
                    f"at {at} {count} of {len(mine)} rows hold what was not yet recorded: {shown}{more}",
                    f"{at} 的 {len(mine)} 行中有 {count} 行含有当时尚未登记的内容：{shown}",
                )
            )
    return found


def _differing(
    mine: TrainingSet, again: npt.NDArray[np.float32], where: tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]
) -> npt.NDArray[np.bool_]:
    """[row, feature]: where the rows of one as-of are not what the cut histories give."""
    officer, columns = where
    values = mine.values[:, columns]
    place = np.minimum(np.searchsorted(officer, mine.officer), max(0, len(officer) - 1))
    if not len(officer):
        return np.ones(values.shape, dtype=bool)
    same = (values == again[place]) | (np.isnan(values) & np.isnan(again[place]))
    there = officer[place] == mine.officer
    return np.asarray(~(same & there[:, None]))


def _late_labels(histories: Histories, rows: TrainingSet) -> list[tuple[str, str]]:
    end = month_text(rows.until)
    open_still = (rows.label == 0) & (rows.as_of > rows.until - _months(histories.profile, rows.risk))
    if open_still.any():
        count = int(open_still.sum())
        return [(f"{count} labels were not complete by {end}", f"{count} 个标签在 {end} 时尚未完整")]
    again = labels(histories.until(rows.until), rows.risk, rows.as_ofs, until=rows.until)
    known = {"officer": again.officer, "as_of": again.as_of}
    keys, mine = (np.asarray(part["as_of"], np.int64) * 2**32 + part["officer"] for part in (known, vars(rows)))
    order = np.argsort(keys)
    place = order[np.minimum(np.searchsorted(keys[order], mine), len(keys) - 1)]
    wrong = int(((keys[place] != mine) | (again.label[place] != rows.label)).sum())
    if wrong:
        return [(f"{wrong} labels are not what was recorded by {end}", f"{wrong} 个标签与 {end} 之前登记的不符")]
    return []


def _months(profile: Profile, risk: str) -> int:
    return profile.risks[risk].horizon_months + profile.risks[risk].maturity_months
