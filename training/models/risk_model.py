"""RiskModel: LightGBM boosters that are averaged, their calibration, reasons and limits.

Stored as LightGBM's text and JSON, never pickled.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from features.errors import Refusal
from features.late import Late
from features.names import group_of, parse_name
from features.profile import Profile
from training.models.calibration import Calibration as Calibration
from training.models.calibration import calibrated as calibrated
from training.models.calibration import platt as platt
from training.models.evidence import SUFFICIENT, Bounds
from training.models.intervals import MEANING, Band
from training.models.lanes import LANES, for_rows
from training.models.stability import Mask, stable
from training.models.treeshap import Forest, NotExplainable, forest

if TYPE_CHECKING:
    import lightgbm as lgb
else:
    lgb = Late("lightgbm")

Array = npt.NDArray[np.float64]

MODEL_FILE = "model-{}.txt"
WITNESS_FILE = "witness-{}.txt"
CARD_FILE = "model.json"
FEW_ROWS = 64
"""Up to so many rows one thread is faster than several (8 ms against 0.09 ms for one row)."""
RISING = {"sum", "mean", "decay", "ever", "vs_peers", "in_a_row", "back_to_back", "count", "rate"}
FALLING = {"months_since", "days_since"}
EITHER = {"slope", "spread", "vs_self"}


class Rows(Protocol):
    """What a model scores: feature rows with these two attributes."""

    @property
    def names(self) -> tuple[str, ...]: ...

    @property
    def values(self) -> npt.NDArray[np.float32]: ...


@dataclass(frozen=True)
class Scores:
    """Scores of rows. ``base_value + contributions.sum(axis=1)`` is ``margin`` (calibrated log-odds).

    ``contributions`` has a column for each of ``groups``; ``by_feature`` the same before summing, a column for
    each of the model's names. ``stable`` says for each of ``contributions`` whether it passes the reason gate.
    """

    margin: Array
    probability: Array
    low: Array
    high: Array
    base_value: float
    groups: tuple[str, ...]
    contributions: Array
    by_feature: Array
    stable: Mask


@dataclass(frozen=True)
class RiskModel:
    """A trained model of one risk: the mean of its boosters, calibrated.

    ``card`` holds what is worth knowing beside it: figures, months, versions. ``witnesses`` are boosters that are
    asked for reasons only: which of them hold. ``bounds`` say when it has too little to go on (None: not measured).
    """

    risk: str
    names: tuple[str, ...]
    boosters: "tuple[lgb.Booster, ...]"
    calibration: Calibration
    card: Mapping[str, Any]
    version: str = "unregistered"
    witnesses: "tuple[lgb.Booster, ...]" = ()
    bounds: Bounds | None = None

    @cached_property
    def groups(self) -> tuple[str, ...]:
        """What the reasons speak of: measures, rates, sequences, and the index, tenure, transfer, post."""
        return tuple(dict.fromkeys(group_of(name) for name in self.names))

    @cached_property
    def base_value(self) -> float:
        """The margin of nobody in particular, from which the reasons start."""
        empty = np.zeros((1, len(self.names)), dtype=np.float32)
        bias = _mean(self._explained(self._own, self.boosters, empty))[0, -1]
        return float(self.calibration.intercept + self.calibration.slope * bias)

    def probability(self, rows: Rows) -> Array:
        """Return calibrated probabilities alone, without reasons."""
        found: Array = expit(self.calibration.margin(self._raw(self._columns(rows))))
        return found

    def probability_and_interval(self, rows: Rows) -> tuple[Array, Array, Array]:
        """Return calibrated probabilities with low and high, without reasons."""
        raw = self._raw(self._columns(rows))
        return expit(self.calibration.margin(raw)), *self.calibration.interval(raw)

    def score(self, rows: Rows) -> Scores:
        """Return probabilities with interval and reasons (path-dependent TreeSHAP, Lundberg et al. 2018)."""
        values = self._columns(rows)
        raw = self._raw(values)
        own = [part[:, :-1] for part in self._explained(self._own, self.boosters, values)]
        by_feature = self.calibration.slope * _mean(own)
        low, high = self.calibration.interval(raw)
        margin = self.calibration.margin(raw)
        sums = self._summed(by_feature)
        others = [part[:, :-1] for part in self._explained(self._others, self.witnesses, values)]
        passed = stable(sums, [self._summed(part) for part in (*own, *others)])
        return Scores(margin, expit(margin), low, high, self.base_value, self.groups, sums, by_feature, passed)

    def evidence(self, rows: Rows, posts: npt.NDArray[np.str_] | None = None) -> npt.NDArray[np.str_]:
        """Return for each row whether there is enough to go on (evidence.KINDS); ``posts`` are the rows' post keys."""
        values = self._columns(rows)
        return self.bounds.judged(values, posts) if self.bounds else np.full(len(values), SUFFICIENT)

    def save(self, folder: Path) -> None:
        """Write model-1.txt ..., witness-1.txt ... (LightGBM's own format) and model.json into a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, boosters in ((MODEL_FILE, self.boosters), (WITNESS_FILE, self.witnesses)):
            for number, booster in enumerate(boosters, start=1):
                (folder / name.format(number)).write_text(booster.model_to_string(), encoding="utf-8")
        card = {
            "risk": self.risk,
            "names": self.names,
            "boosters": len(self.boosters),
            "witnesses": len(self.witnesses),
            "calibration": {
                "intercept": self.calibration.intercept,
                "slope": self.calibration.slope,
                "band": self.calibration.band.as_json(),
            },
            "interval": MEANING,
            "evidence": self.bounds.as_json() if self.bounds else None,
            "card": self.card,
        }
        text = json.dumps(card, ensure_ascii=False, indent=1, allow_nan=False)
        (folder / CARD_FILE).write_text(text + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path, *, version: str = "unregistered") -> "RiskModel":
        """Return the model saved in a folder; a Refusal where its files are not there or not whole."""
        try:
            stored = json.loads((folder / CARD_FILE).read_text(encoding="utf-8"))
            boosters, witnesses = (
                tuple(_read(folder / name.format(number)) for number in range(1, stored[kind] + 1))
                for name, kind in ((MODEL_FILE, "boosters"), (WITNESS_FILE, "witnesses"))
            )
            curve, limits = stored["calibration"], stored["evidence"]
            calibration = Calibration(curve["intercept"], curve["slope"], band=Band.of_json(curve["band"]))
            found = Bounds.of_json(limits) if limits else None
            names = tuple(stored["names"])
            return cls(stored["risk"], names, boosters, calibration, stored["card"], version, witnesses, found)
        except (OSError, KeyError, TypeError, ValueError, lgb.basic.LightGBMError) as error:
            raise Refusal(
                f"There is no whole model in {folder} ({type(error).__name__}).", hint="Train it again."
            ) from error

    def named(self, version: str) -> "RiskModel":
        """Return the same model under a version of the registry."""
        return replace(self, version=version)

    def _columns(self, rows: Rows) -> npt.NDArray[np.float32]:
        if rows.names == self.names:
            return np.ascontiguousarray(rows.values)
        place, missing = _places(self.names, tuple(rows.names))
        if missing:
            raise Refusal(
                f"The model of '{self.risk}' needs features that these rows do not have:",
                missing,
                hint="Was the profile changed since it was trained? Train it again.",
            )
        return np.ascontiguousarray(rows.values[:, place])

    def _raw(self, values: npt.NDArray[np.float32]) -> Array:
        if not len(values):
            return np.zeros(0)
        with LANES.asked(for_rows(len(values))) as threads:
            said = [one.predict(values, num_threads=threads, raw_score=True) for one in self.boosters]
        return _mean([np.asarray(part, np.float64) for part in said])

    def _explained(
        self, forests: tuple[Forest | None, ...], boosters: "tuple[lgb.Booster, ...]", values: npt.NDArray[np.float32]
    ) -> list[Array]:
        """The contributions [row, name and bias] of each booster: by our kernel, or by LightGBM where that can't."""
        return [
            self._by_lightgbm(booster, values) if trees is None else trees.contributions(values)
            for booster, trees in zip(boosters, forests, strict=True)
        ]

    def _by_lightgbm(self, booster: "lgb.Booster", values: npt.NDArray[np.float32]) -> Array:
        with LANES.asked(for_rows(len(values))) as threads:
            said = booster.predict(values, num_threads=threads, pred_contrib=True)
        return np.asarray(said, np.float64).reshape(len(values), len(self.names) + 1)

    @cached_property
    def _own(self) -> tuple[Forest | None, ...]:
        return tuple(_forest(booster) for booster in self.boosters)

    @cached_property
    def _others(self) -> tuple[Forest | None, ...]:
        return tuple(_forest(booster) for booster in self.witnesses)

    def _summed(self, by_feature: Array) -> Array:
        return by_feature @ self._membership

    @cached_property
    def _membership(self) -> Array:
        """[name, group]: 1 where the group is the name's."""
        place = {group: number for number, group in enumerate(self.groups)}
        found = np.zeros((len(self.names), len(self.groups)))
        found[np.arange(len(self.names)), [place[group_of(name)] for name in self.names]] = 1.0
        return found


@lru_cache(maxsize=64)
def _places(wanted: tuple[str, ...], there: tuple[str, ...]) -> tuple[list[int], list[str]]:
    """Where the names wanted stand among those that are there, and which are not."""
    place = {name: number for number, name in enumerate(there)}
    return [place.get(name, -1) for name in wanted], [name for name in wanted if name not in place]


def _mean(parts: list[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    """The boosters' mean, added one by one: NumPy's own order depends on the array's shape."""
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return np.asarray(total / len(parts))


def _forest(booster: "lgb.Booster") -> Forest | None:
    """The trees for our own kernel; None where LightGBM itself must explain them."""
    try:
        return forest([booster])
    except NotExplainable:
        return None


def _read(file: Path) -> "lgb.Booster":
    return lgb.Booster(model_str=file.read_text(encoding="utf-8"))


def direction(name: str, profile: Profile, risk: str) -> int | None:
    """Return +1, -1 or 0: the monotone constraint of a feature; None for a feature that must be left out.

    A measure that ``raises`` a risk never lowers it: its counts may only push up, the time since its last event
    only down, and what can move either way when one more event is added (trend, spread, against own usual) is no input.
    """
    part = parse_name(name)
    sign = _sign(part.group, profile, risk)
    if sign == 0 or part.statistic == "unit":
        return 0
    if part.statistic in EITHER:
        return None
    return sign if part.statistic in RISING else -sign if part.statistic in FALLING else 0


def _sign(group: str, profile: Profile, risk: str) -> int:
    rate = profile.settings.rates.get(group)
    measure = profile.measures.get(rate.of if rate else group)
    if measure is None:
        return 0
    return 1 if risk in measure.raises else -1 if risk in measure.lowers else 0
