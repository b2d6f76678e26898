"""Two more versions of a risk's model beside the champion: one that passes the whole gate, one that fails."""

from dataclasses import replace
from pathlib import Path

from features.histories.tables import Histories
from tests.serving_fixtures import quick_model
from training.registry.impact import assessed
from training.registry.registry import Registry


def two_more_versions(home: Path, given: Histories, risk: str) -> None:
    """Register a version that the gate lets through and one that is unfair and below the champion, in this order."""
    model = assessed(home, given.profile, quick_model(given, risk))
    figure = {"average_precision": [0.5, 0.4, 0.6], "precision_capacity": [0.4, 0.3, 0.5]}
    mine, rule = {**figure, "calibration_error": [0.01, 0.0, 0.02]}, {key: [0.1, 0.1, 0.1] for key in figure}
    group = {"dimension": "sex", "group": "F", "persons": 40, "positives": 20, "rows": 80, "rate": 0.3}
    told = {key: [0.3, 0.2, 0.4] for key in ("selection", "precision", "missed", "calibration")}
    few = {**group, "group": "M", "persons": 3, "state": "too few persons"}
    groups = [{**each, **told, "deviations": {}} for each in ({**group, "state": "judged"}, few)]
    good = {
        **model.card,
        "figures": {"lightgbm": mine, "rule": rule},
        "reliability": {"rate": 0.2, "ratio": [1.0, 0.9, 1.1], "slope": [1.0, 0.9, 1.1]},
        "fairness": {"groups": groups, "unfair": []},
        "leak_test": {"passed": True, "told": "nothing"},
        "comparison": {"version": "1", "difference": 0.1, "low": 0.05, "high": 0.15},
        "curves": {"calibration": [{"rows": 50, "mean": 0.1, "share": 0.12, "low": 0.05, "high": 0.2}] * 3},
        "best_rival": {"told": "a rival leads: counts", "told_zh": "对照方法领先：计数"},
    }
    off = {"calibration": {"value": 0.4, "error": 0.01, "level": 0.3, "persons": 40}}
    unfair = {"groups": [{**groups[0], "deviations": off}], "unfair": []}
    bad = {**good, "fairness": unfair, "comparison": {"version": "1", "difference": -0.1, "low": -0.2, "high": -0.05}}
    for card in (good, bad):
        Registry(home).register(replace(model, card=card), by="the tests", reason="")
