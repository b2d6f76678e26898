"""Three rounds of intervene-and-retrain on the simulated force: naive beside treatment-aware, against known truth."""

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from itertools import product

import numpy as np
import numpy.typing as npt
import pandas as pd

from features.engine import feature_rows
from features.histories.tables import Histories, histories
from features.months import last_day, timestamps
from features.profile import Profile, load_profile
from features.profile_rows import Measure
from features.simulation import Help, Recorded, simulate
from features.simulation.force import LAST_MONTH
from training.dataset import training_set
from training.fitting import fit
from training.judging.metrics import list_metrics
from training.models.risk_model import RiskModel
from training.treated import Treatment, treatment

OFFICERS, BEFORE, EVERY = 1500, 30, 8
"""Months before the first flag, then months between retrainings."""
SEEDS = (1, 2)
RISK = "burnout"
ACTED = "burnout_flag_acted"
Array = npt.NDArray[np.float64]


def marked_profile() -> Profile:
    """Return gongan with a measure of help after a burnout flag."""
    given = load_profile("gongan")
    risks = {**given.risks, RISK: given.risks[RISK].model_copy(update={"acted_on": ACTED})}
    measures = {**given.measures, ACTED: Measure(dimension="action", sensitive=True)}
    return given.model_copy(update={"risks": risks, "measures": measures})


@dataclass
class Rounds:
    """Lives with a force: retrains every so many months, flags each month, and helps a part of the flagged."""

    profile: Profile
    start: int
    every: int
    weighted: bool
    share: float = 0.1
    uptake: float = 0.4
    seed: int = 0
    model: RiskModel | None = None
    told: dict[int, pd.DataFrame] = field(default_factory=dict)
    found: dict[int, Treatment | None] = field(default_factory=dict)

    def __call__(self, as_of: int, look: Callable[[], Recorded]) -> Help | None:
        """Return whom to help in the coming month."""
        if as_of < self.start:
            return None
        recorded = look()
        given = histories(profile=self.profile, roster=recorded.roster, events=recorded.events)
        if (as_of - self.start) % self.every == 0:
            self._retrain(given, as_of)
        table = self._scored(given, as_of)
        if (as_of - self.start) % self.every == 0:
            self.told[as_of] = table
        listed = table.nlargest(round(self.share * len(table)), "probability")["officer_id"].to_numpy()
        helped = listed[np.random.default_rng([self.seed, as_of]).random(len(listed)) < self.uptake]
        return Help(helped.tolist(), recorded_as=ACTED)

    def _retrain(self, given: Histories, as_of: int) -> None:
        rows = training_set(given, RISK, until=as_of)
        found = treatment(given, rows) if self.weighted else None
        self.found[as_of] = found
        self.model = fit(found.weighed(rows) if found else rows, self.profile).model(RISK)

    def _scored(self, given: Histories, as_of: int) -> pd.DataFrame:
        assert self.model is not None
        rows = feature_rows(given, [as_of], names=self.model.names)
        return pd.DataFrame(
            {
                "officer_id": given.officers[rows.officer],
                "as_of": timestamps(last_day(rows.as_of)),
                "probability": self.model.probability(rows),
            }
        )


@dataclass(frozen=True)
class Against:
    """Probabilities beside the true ones without further help, at the end of a round."""

    overall: float
    high: float
    listed: float
    calibration: float
    precision: float
    best: float


def against(table: pd.DataFrame, truth: pd.DataFrame, share: float) -> Against:
    """Return expected over true risk, and average precision expected of the true probabilities."""
    both = table.merge(truth.rename(columns={"probability": "truth"}), on=["officer_id", "as_of"])
    mine, true = both["probability"].to_numpy(), both["truth"].to_numpy()
    most = round(share * len(both))
    high, listed = np.argsort(-true)[:most], np.argsort(-mine)[:most]
    bins = np.array_split(np.argsort(mine, kind="stable"), 10)
    once = np.ones((1, len(both)))
    best, ap = (float(list_metrics(true, score, once, capacity=most)[0, 1]) for score in (true, mine))
    return Against(
        overall=float(mine.sum() / true.sum()),
        high=float(mine[high].sum() / true[high].sum()),
        listed=float(mine[listed].sum() / true[listed].sum()),
        calibration=float(np.mean([abs(mine[part].mean() - true[part].mean()) for part in bins])),
        precision=ap,
        best=best,
    )


def rounds(
    *, officers: int, before: int, every: int, seed: int, weighted: bool, number: int = 3
) -> tuple[Rounds, list[Against]]:
    """Return the figures of each round of one way of retraining; the first is before any help."""
    profile = marked_profile()
    start = LAST_MONTH - 1 - number * every
    living = Rounds(profile, start, every, weighted, seed=seed)
    force = simulate(
        officers=officers, months=before + number * every + 1, seed=seed, profile=profile, intervene=living
    )
    truth = force.truth[force.truth["risk"] == RISK].drop(columns="risk")
    return living, [against(table, truth, living.share) for table in living.told.values()]


def treated() -> Iterator[tuple[str, str, str, bool]]:
    """Yield a line for each round: expected over true risk without further help, naive and treatment-aware."""
    ways = list(product(SEEDS, (False, True)))
    with ProcessPoolExecutor(max_workers=2) as workers:
        found = dict(zip(ways, workers.map(_one_way, ways), strict=True))
    for seed, number in product(SEEDS, range(4)):
        naive, mine = found[seed, False][number], found[seed, True][number]
        what = f"treated, seed {seed}: round {number}" if number else f"treated, seed {seed}: before any help"
        figure = f"naive {_told(naive)} | yours {_told(mine)}"
        yield (
            what,
            figure,
            "(told)" if number == 0 else "yours nearer to 1 among the riskiest",
            number == 0 or (abs(np.log(mine.high)) < abs(np.log(naive.high))),
        )
    for name in ("overall", "listed"):
        last = {way: np.array([getattr(found[seed, way][3], name) for seed in SEEDS]) for way in (False, True)}
        naive, mine = last[False].mean(), last[True].mean()
        figure = f"naive {naive:.2f} (spread {np.ptp(last[False]):.2f}), yours {mine:.2f} ({np.ptp(last[True]):.2f})"
        yield (
            f"treated: expected / true after three rounds, {name}",
            figure,
            "naive below 0.8, yours 0.8 to 1.25",
            bool(naive < 0.8 <= mine <= 1.25),
        )


def _one_way(way: tuple[int, bool]) -> list[Against]:
    return rounds(officers=OFFICERS, before=BEFORE, every=EVERY, seed=way[0], weighted=way[1])[1]


def _told(found: Against) -> str:
    return (
        f"all {found.overall:.2f}, riskiest tenth {found.high:.2f}, listed {found.listed:.2f}, "
        f"calibration {found.calibration:.3f}, AP {found.precision:.3f} of {found.best:.3f}"
    )
