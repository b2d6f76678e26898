"""Every gate by a model that should fail it, each refused with the right sentence; an honest model passes."""

import json
import shutil
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from scipy.special import expit, logit

from features.engine import feature_rows
from features.errors import Refusal
from features.histories.ingest import ingest
from features.months import last_day
from features.policy import Policy
from serving.commands import chosen_models
from serving.models.champions import Champions
from tests.training_force import MEASURES, RISKS, SETTINGS, small_force
from training.dataset import training_set, with_early_labels
from training.fitting import fit
from training.judging.fairness import fairness
from training.judging.leading import leading
from training.judging.leaks import leak_test
from training.judging.reliability import reliability
from training.judging.report import Report
from training.judging.validation import judged_folds, validate
from training.recipe import STANDARD
from training.registry.commands import promote as promote_command
from training.registry.gate import Place, Signature, criteria, objections
from training.registry.impact import assessed, draft, on_file, sign, withdraw
from training.registry.registry import Registry

SIGNED = Signature("Lin", "it is better")


class Trial:
    """A small force, its training set and folds, and models that are judged on them as training does."""

    def __init__(self):
        self.force = small_force(officers=300)
        self.given = self.force.histories()
        self.rows = training_set(self.given, "collapse")
        self.folds = judged_folds(self.rows, self.given.profile)
        self.recipe = STANDARD.single()
        self.found = self.validated(self.rows)
        self.fitted = fit(self.rows, self.given.profile, recipe=self.recipe)

    def validated(self, rows):
        """What models trained on these rows say of the test rows, beside what became of them."""
        found = validate(rows, self.folds, self.given.profile, self.recipe)
        return replace(found, label=self.rows.label[found.row])

    def card(self, found=None, *, rows=None):
        found = found or self.found
        report = Report.of(self.rows, self.folds, found)
        test = leak_test(self.given, rows or self.rows, names=self.fitted.names)
        audits = {"reliability": reliability(found), "fairness": fairness(self.given, found), "leak_test": test}
        return {**report.extended(audits).card(), "settings": {}, "trees": self.fitted.trees}

    def model(self, card):
        return replace(self.fitted.model("collapse"), card=card)

    def with_probability(self, change):
        return self.card(replace(self.found, probability=change(self.found.probability)))


@pytest.fixture(scope="module")
def trial():
    return Trial()


@pytest.fixture(scope="module")
def honest(trial):
    return trial.card()


@pytest.fixture(scope="module")
def stored(trial, tmp_path_factory):
    """A home with the force's histories: only copied."""
    folder = tmp_path_factory.mktemp("stored")
    (folder / "export").mkdir(), (folder / "profile").mkdir()
    trial.force.roster.to_parquet(folder / "export" / "roster.parquet")
    trial.force.events.to_parquet(folder / "export" / "events.parquet")
    # JSON is YAML
    for name, part in {"profile": SETTINGS, "measures": MEASURES, "risks": RISKS}.items():
        (folder / "profile" / f"{name}.yaml").write_text(json.dumps(part, ensure_ascii=False), encoding="utf-8")
    ingest(folder / "export", home=folder / "home", profile=str(folder / "profile"), strict=True)
    Registry(folder / "home").versions()  # makes the database once
    return folder / "home"


@pytest.fixture
def home(stored, tmp_path):
    return Path(shutil.copytree(stored, tmp_path / "home"))


def refused(home, model, *, filed=True):
    """Register a model and promote it by the command; return what the command said, having ended with exit 1."""
    registry = Registry(home)
    model = assessed(home, registry.profile, model) if filed else model
    registered = registry.register(model)
    assert registered.objections
    assert registry.versions("collapse")[-1].aliases == ("challenger",)
    words = ("--home", str(home), "--risk", "collapse", "--version", registered.version, "--reason", "it is newer")
    done = CliRunner().invoke(promote_command, words)
    assert done.exit_code == 1
    assert [row.action for row in registry.history()][-2:] == ["refused", "refused"]
    assert "Traceback" not in done.stderr
    return done.stderr


def keys(card, place=None, *, policy=None, signature=SIGNED):
    place = place or Place("collapse")
    found = objections(card, place, policy=policy or Policy(), signature=signature)
    assert all(each.en and each.zh for each in found)
    return {each.key for each in found} - {"impact"}


def test_an_honest_model_passes_and_serves(trial, honest, home):
    registry = Registry(home)
    assert registry.register(assessed(home, registry.profile, trial.model(honest))).objections == ()
    assert registry.champion("collapse").version == "1"
    assert registry.in_production("collapse").forced is False


def test_a_model_worse_than_the_rule_is_refused(trial, home):
    shuffled = replace(trial.rows, label=np.random.default_rng(0).permutation(trial.rows.label))
    told = refused(home, trial.model(trial.card(trial.validated(shuffled))))
    assert "its average precision over the folds, 0." in told
    assert "is not above the rule's 0." in told


@pytest.mark.parametrize(("factor", "word"), [(2.0, "is above the bound"), (0.5, "it expects 0.")])
def test_a_model_miscalibrated_by_a_factor_of_two_is_refused(trial, home, factor, word):
    card = trial.with_probability(lambda probability: np.minimum(0.999, factor * probability))
    told = refused(home, trial.model(card))
    assert "its calibration error 0." in told
    assert word in told
    assert keys(card) in ({"calibration"}, {"calibration", "rule"})


def test_a_model_whose_log_odds_are_twice_too_far_apart_is_refused(trial):
    steep = trial.with_probability(lambda probability: expit(2 * logit(probability)))
    assert "calibration" in keys(steep)


def test_a_model_unfair_to_one_unit_is_refused_with_the_unit_and_the_figure(trial, home):
    unit = np.asarray(trial.given.units)[trial.given.postings.unit[trial.found.officer]]
    shifted = np.where(unit == "north", 2.0, 0.0)
    told = refused(home, trial.model(trial.with_probability(lambda p: expit(logit(p) + shifted))))
    assert "unfair to unit 'north': its probabilities are 0." in told
    assert "too high on average" in told
    assert "'south'" not in told


def test_a_model_trained_with_a_leak_is_refused(trial, home):
    months = list(trial.rows.as_ofs)
    later = feature_rows(trial.given, [month + 2 for month in months], names=trial.rows.names)
    place = {key: row for row, key in enumerate(zip(later.officer.tolist(), later.as_of.tolist(), strict=True))}
    where = [place[key, month + 2] for key, month in zip(trial.rows.officer, trial.rows.as_of, strict=True)]
    told = refused(home, trial.model(trial.card(rows=replace(trial.rows, values=later.values[where]))))
    assert "its leak test failed: at 2020-" in told
    assert "hold what was not yet recorded: " in told


def test_the_leak_test_finds_late_news_that_were_used_too_early(trial):
    assert leak_test(trial.given, trial.rows).passed
    lag = np.where(np.arange(len(trial.given.events)) % 5 == 0, 45, 0)
    events = trial.given.events
    late = replace(trial.given, events=replace(events, recorded=(events.recorded + lag).astype(np.int32)))
    assert leak_test(late, training_set(late, "collapse")).passed
    found = leak_test(late, trial.rows)
    assert not found.passed
    assert "night__" in found.en
    assert found.zh


def test_the_leak_test_finds_labels_that_were_not_complete(trial):
    early = replace(trial.rows, until=trial.rows.as_ofs[-1] + 1)
    assert "labels were not complete by" in leak_test(trial.given, early).en
    wrong = replace(trial.rows, label=1 - trial.rows.label)
    assert "labels are not what was recorded by" in leak_test(trial.given, wrong).en


def test_a_model_without_an_assessment_id_is_refused(trial, honest, home):
    assert "it names no impact assessment" in refused(home, trial.model(honest), filed=False)


def test_a_model_whose_assessment_was_withdrawn_or_is_for_another_definition_is_refused(trial, honest, home):
    registry = Registry(home)
    model = assessed(home, registry.profile, trial.model(honest))
    named = model.card["impact_assessment"]
    withdraw(home, named, by="Zhao", reason="the unit was merged")
    told = refused(home, model, filed=False)
    assert f"its impact assessment {named} was withdrawn by Zhao (the unit was merged)" in told
    other = replace(model, card={**model.card, "impact_assessment": "collapse-00000000-1"})
    assert "is not on file for what 'collapse' is now" in refused(home, other, filed=False)


def test_a_champion_whose_assessment_is_withdrawn_scores_nobody_until_a_new_one_is_filed(trial, honest, home):
    registry = Registry(home)
    model = assessed(home, registry.profile, trial.model(honest))
    registry.register(model)
    assert [one.risk for one in chosen_models(registry, trial.given, risk="collapse")] == ["collapse"]
    withdraw(home, model.card["impact_assessment"], by="Zhao", reason="the unit was merged")
    for serve in (
        lambda: chosen_models(registry, trial.given, risk="collapse"),
        lambda: chosen_models(registry, trial.given, risk=None),
        lambda: Champions(home).champion("collapse"),
    ):
        with pytest.raises(Refusal, match=r"withdrawn by Zhao \(the unit was merged\): its model scores nobody"):
            serve()
    assert chosen_models(registry, trial.given, risk="collapse", version="latest")  # for evaluation, shown to no one
    draft(home, registry.profile, "collapse", anew=True)
    assert Champions(home).champion("collapse").version == "1"


def test_a_withdrawn_assessment_can_be_overruled_in_writing(trial, honest, home):
    registry = Registry(home)
    model = assessed(home, registry.profile, trial.model(honest))
    registry.register(model)
    withdraw(home, model.card["impact_assessment"], by="Zhao", reason="the unit was merged")
    why = "the merger changes nothing that the assessment says"
    registry.promote("collapse", "1", by="Lin", reason=why, force=True)
    registry.must_stand("collapse")
    found = registry.in_production("collapse")
    assert (found.by, found.reason, found.forced) == ("Lin", why, True)


def test_after_a_search_the_fold_that_it_did_not_see_counts_alone(honest):
    above = {"lightgbm": {"average_precision": [0.3, 0.2, 0.4]}, "rule": {"average_precision": [0.2, 0.1, 0.3]}}
    assert keys({**honest, "held_out": {"test": ["2022-01"], "figures": above}}) == set()
    below = {"lightgbm": above["rule"], "rule": above["lightgbm"]}
    found = objections({**honest, "held_out": {"figures": below}}, Place("x"), policy=Policy(), signature=SIGNED)
    assert "which its search did not see, its average precision 0.200 is not above the rule's 0.300" in found[0].en


def test_the_report_says_in_a_sentence_when_a_rival_leads(trial):
    knowing = 0.5 * trial.found.probability + 0.5 * trial.found.label
    found = leading(replace(trial.found, probability=knowing))
    assert found.rival in trial.found.rivals
    assert not found.card()["rival_leads"]
    assert "the model leads: its average precision is" in found.lines()[0]
    noise = np.random.default_rng(0).random(len(trial.found))
    worse = leading(replace(trial.found, probability=noise))
    assert worse.card()["rival_leads"]
    assert f"a rival leads: {worse.rival} has average precision" in worse.lines()[0]
    assert "beyond chance" in worse.told[0]
    assert "对照方法领先" in worse.told[1]


def test_a_plain_rival_that_is_better_beyond_chance_keeps_the_model_out(trial, honest):
    noise = np.random.default_rng(0).random(len(trial.found))
    beaten = {**honest, "best_rival": leading(replace(trial.found, probability=noise)).card()}
    found = objections(beaten, Place("x"), policy=Policy(), signature=SIGNED)
    told = next(each for each in found if each.key == "rival")
    rival = beaten["best_rival"]["rival"]
    assert f"a plain rival, {rival}, is better beyond chance" in told.en
    assert "超出偶然" in told.zh
    near = {**honest, "best_rival": {"rival": "counts", "difference": [-0.02, -0.06, 0.01]}}  # not told from chance
    assert "rival" not in keys(near)
    assert next(one for one in criteria(near, Place("x"), policy=Policy()) if one.key == "rival").met


def test_a_criterion_that_is_judged_by_its_interval_says_so(honest):
    above = {**honest, "figures": {**honest["figures"]}}
    above["figures"]["lightgbm"] = {**honest["figures"]["lightgbm"], "calibration_error": [0.09, 0.001, 0.12]}
    shown = next(one for one in criteria(above, Place("x"), policy=Policy()) if one.en == "calibration error")
    assert shown.met
    assert "low end of the interval" in shown.how[0]
    assert "区间下限" in shown.how[1]


def test_an_assessment_covers_a_risk_only_while_its_definition_and_measures_are_the_same(trial, honest, home):
    profile = trial.given.profile
    named = assessed(home, profile, trial.model(honest)).card["impact_assessment"]
    assert on_file(home, "collapse", profile).id == named
    assert on_file(home, "collapse_open", profile) is None
    longer = profile.risks["collapse"].model_copy(update={"horizon_months": 6})
    changed = profile.model_copy(update={"risks": {**profile.risks, "collapse": longer}})
    assert on_file(home, "collapse", changed) is None
    open_now = {**profile.measures, "sleep_score": profile.measures["sleep_score"].model_copy(update={"unit": None})}
    closed = {**open_now, "sleep_score": open_now["sleep_score"].model_copy(update={"sensitive": False})}
    assert on_file(home, "collapse", profile.model_copy(update={"measures": closed})) is None


def test_a_policy_may_ask_for_a_signed_assessment(trial, honest, home):
    profile, strict = trial.given.profile, Policy(impact_assessment="signed")
    card = assessed(home, profile, trial.model(honest)).card
    filed = on_file(home, "collapse", profile)
    found = objections(card, Place("collapse", assessment=filed), policy=strict, signature=SIGNED)
    assert [each.key for each in found] == ["impact"]
    assert f"jingxing impact sign {filed.id}" in found[0].en
    signed = Place("collapse", assessment=sign(home, filed.id, by="Zhao"))
    assert objections(card, signed, policy=strict, signature=SIGNED) == []
    assert "sleep_score" in filed.document["en"]
    assert "草稿" in filed.document["zh"]


def test_a_promotion_needs_a_name_and_a_reason(honest):
    assert keys(honest, signature=Signature(" ", "better")) == {"signature"}
    assert keys(honest, signature=Signature("Lin", "")) == {"signature"}


def test_a_model_is_compared_with_the_present_champion_first(honest):
    told = {"version": "4", "difference": -0.02, "low": -0.05, "high": 0.01}
    place = Place("collapse", champion="4")
    assert keys(honest, place) == {"not_compared"}
    assert keys({**honest, "comparison": {**told, "version": "3"}}, place) == {"not_compared"}
    found = objections(honest, place, policy=Policy(), signature=SIGNED)
    assert "jingxing train --risk collapse" in found[0].en
    assert keys({**honest, "comparison": told}, place) == set()
    assert keys({**honest, "comparison": {**told, "high": -0.001}}, place) == {"champion"}


def test_a_comparison_made_later_counts(trial, honest, home):
    registry = Registry(home)
    for _ in range(2):
        registry.register(assessed(home, registry.profile, trial.model(honest)))
    assert registry.champion("collapse").version == "1"
    registry.compared("collapse", "2", {"version": "1", "difference": 0.0, "low": -0.01, "high": 0.01})
    assert registry.promote("collapse", "2", by="Lin", reason="newer months").version == "2"


def test_what_a_card_does_not_tell_counts_as_not_shown():
    assert keys({}) == {"rule", "calibration", "fairness", "leak"}


def test_every_bound_of_the_policy_stands_in_the_docs_with_its_default():
    text = (Path(__file__).parents[1] / "features" / "README.md").read_text(encoding="utf-8")
    rows = [f"| `policy.{name}` | {field.default} |" for name, field in Policy.model_fields.items()]
    assert [row for row in rows if row not in text] == []


def test_a_signature_is_a_name_and_a_reason():
    assert [part.name for part in fields(Signature)] == ["by", "reason"]


def test_the_leak_test_finds_a_leak_in_the_newest_months_alone(trial):
    values = trial.rows.values.copy()
    newest = trial.rows.as_of == trial.rows.as_ofs[-1]
    place = trial.rows.columns((trial.fitted.names[0],))[0]
    values[newest, place] += 50 * trial.rows.label[newest]
    found = leak_test(trial.given, replace(trial.rows, values=values), names=trial.fitted.names)
    assert not found.passed


def test_a_fold_learns_from_no_label_that_was_recorded_after_its_test_began(trial):
    fold = judged_folds(trial.rows, trial.given.profile)[0]
    month = fold.test[0]
    known = with_early_labels(trial.given, trial.rows, [month]).at(fold.train).known_by(month)
    cut = training_set(trial.given.until(month), "collapse", until=month)
    told = {(o, a): v for o, a, v in zip(cut.officer, cut.as_of, cut.label, strict=True)}
    mine = [((o, a), v) for o, a, v in zip(known.officer, known.as_of, known.label, strict=True)]
    assert mine
    assert all(told[key] == value for key, value in mine if key in told)
    late = trial.given.events.recorded.copy()
    outcome = trial.given.events.measure == trial.given.profile.measure_number["collapse"]
    late[outcome] = np.maximum(trial.given.events.occurred[outcome], last_day(month + 3))
    slow = replace(trial.given, events=replace(trial.given.events, recorded=late))
    unknown = with_early_labels(slow, trial.rows, [month]).at(fold.train).known_by(month)
    assert unknown.label.sum() == 0 < trial.rows.at(fold.train).label.sum()
