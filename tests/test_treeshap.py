"""Our TreeSHAP equals LightGBM's own: missing values, categories, repeated features; on long paths it is exact."""

import importlib
import warnings
from fractions import Fraction

import lightgbm as lgb
import numpy as np
import pytest

from training.models.treeshap import MOST_NODES, NotExplainable, forest


def table(rows=900, features=12, seed=0, *, missing=0.1, categories=()):
    generator = np.random.default_rng(seed)
    values = generator.normal(size=(rows, features))
    for column in categories:
        values[:, column] = generator.integers(0, 40, rows)
    label = values[:, 0] + np.sin(2 * values[:, 1]) * values[:, -1] + generator.normal(size=rows) > 0
    if categories:
        label |= np.isin(values[:, categories[0]], [1, 5, 9, 33])
    values[generator.random(values.shape) < missing] = np.nan
    return values.astype(np.float32), label.astype(int)


def booster(values, label, *, trees=25, categories="auto", **settings):
    known = {"objective": "binary", "num_leaves": 31, "min_data_in_leaf": 5, "verbose": -1, "num_threads": 1}
    return lgb.train({**known, **settings}, lgb.Dataset(values, label, categorical_feature=categories), trees)


def difference(model, values):
    return np.abs(forest([model]).contributions(values) - model.predict(values, pred_contrib=True)).max()


@pytest.mark.parametrize(
    "settings",
    [{}, {"use_missing": False}, {"zero_as_missing": True}, {"extra_trees": True, "num_leaves": 4}, {"num_leaves": 63},
     {"bagging_fraction": 0.5, "bagging_freq": 1, "feature_fraction": 0.4}],
    ids=["plain", "missing ignored", "zero is missing", "random thresholds", "many leaves", "bagged"],
)  # fmt: skip
def test_contributions_are_lightgbms_own(settings):
    values, label = table()
    values[:, 3] = np.round(values[:, 3])  # zeros
    assert difference(booster(values, label, **settings), values[:150]) < 1e-9


@pytest.mark.parametrize("settings", [{}, {"use_missing": False}, {"zero_as_missing": True}])
def test_what_lightgbm_takes_for_zero_is_zero(settings):
    values, label = table(missing=0.0)
    values[:, :6] = np.maximum(values[:, :6], 0.0)  # half of them are zero, so that trees split there
    model, near = booster(values, label, **settings), values[:150].astype(np.float64)
    edge = float(np.float32(1e-35))
    near[::3][near[::3] == 0.0], near[1::3][near[1::3] == 0.0] = edge, -edge
    near[2::3][near[2::3] == 0.0] = np.nextafter(edge, 1.0)
    assert difference(model, near) < 1e-9


def test_contributions_are_those_of_the_shap_library():
    values, label = table()
    model = booster(values, label)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its plots, and of shapes that changed once
        theirs = np.asarray(importlib.import_module("shap").TreeExplainer(model).shap_values(values[:80]))
    assert np.abs(forest([model]).contributions(values[:80])[:, :-1] - theirs).max() < 1e-9


def test_contributions_of_categorical_splits_are_lightgbms_own():
    values, label = table(categories=(3, 4))
    model = booster(values, label, categories=[3, 4], min_data_per_group=5, max_cat_to_onehot=1)
    strange = values[:60].copy()
    strange[:20, 3], strange[20:40, 3], strange[40:, 4] = -1.0, 1000.0, np.nan
    assert difference(model, values[:100]) < 1e-9
    assert difference(model, strange) < 1e-9


def test_a_feature_that_is_split_again_on_its_path_counts_once():
    values, label = table(features=2)
    assert difference(booster(values, label, num_leaves=60), values[:150]) < 1e-9


def long_branch(leaves):
    """A tree with one long branch: each feature cuts off a little."""
    values, label = np.random.default_rng(1).random((4000, 60)).astype(np.float32), np.zeros(4000)
    for column in range(60):
        label[np.flatnonzero(label == 0)[values[label == 0][:, column] > 0.97]] = 60 - column
    return booster(values, label, trees=1, objective="regression", num_leaves=leaves, min_data_in_leaf=1), values


def exact(model, row):
    """Shapley values in whole fractions, leaf by leaf, from LightGBM's own description of the tree."""
    tree = model.dump_model()["tree_info"][0]["tree_structure"]
    found = [Fraction(0)] * model.num_feature()

    def walk(node, path):
        if "leaf_value" in node:
            for feature in path:
                own, ratio = path[feature]
                others = [path[other] for other in path if other != feature]
                found[feature] += Fraction(node["leaf_value"]) * (own - ratio) * integral(others)
            return
        goes = row[node["split_feature"]] <= node["threshold"]
        for side, follows in (("left_child", goes), ("right_child", not goes)):
            child = node[side]
            count = child.get("internal_count", child.get("leaf_count"))
            own, ratio = path.get(node["split_feature"], (1, Fraction(1)))
            step = (own * int(follows), ratio * Fraction(count, node["internal_count"]))
            walk(child, {**path, node["split_feature"]: step})

    walk(tree, {})
    return np.asarray([float(each) for each in found])


def integral(factors):
    """The integral over t from 0 to 1 of the product of z + t (o - z)."""
    polynomial = [Fraction(1)]
    for own, ratio in factors:
        longer = [*(ratio * part for part in polynomial), Fraction(0)]
        for power, part in enumerate(polynomial):
            longer[power + 1] += part * (own - ratio)
        polynomial = longer
    return sum(part / (power + 1) for power, part in enumerate(polynomial))


@pytest.mark.parametrize("leaves", [8, 36, 60])
def test_contributions_are_exact_on_paths_of_any_length(leaves):
    model, values = long_branch(leaves)
    for row in values[:2]:
        mine = forest([model]).contributions(row[None, :])[0, :-1]
        assert np.abs(mine - exact(model, row)).max() < 1e-12


def test_where_a_path_has_more_than_thirty_features_lightgbms_own_rounding_shows():
    model, values = long_branch(60)
    raw = model.predict(values[:50], raw_score=True)
    mine, theirs = (
        np.abs(said.sum(axis=1) - raw).max()
        for said in (forest([model]).contributions(values[:50]), model.predict(values[:50], pred_contrib=True))
    )
    assert mine < 1e-12 < 1e-7 < theirs


def test_a_single_row_answers_as_a_batch_does_and_threads_change_nothing():
    values, label = table()
    trees = forest([booster(values, label)])
    batch = trees.contributions(values[:100], threads=2)
    assert np.array_equal(batch, trees.contributions(values[:100], threads=1))
    assert np.array_equal(batch[7:8], trees.contributions(values[7:8]))


def test_contributions_and_base_sum_to_the_raw_score_of_the_mean():
    values, label = table()
    models = [booster(values, label, seed=seed, bagging_fraction=0.5, bagging_freq=1) for seed in (1, 2, 3)]
    raw = np.mean([model.predict(values, raw_score=True) for model in models], axis=0)
    assert np.allclose(forest(models).contributions(values).sum(axis=1), raw, atol=1e-9)


def test_a_tree_of_one_leaf_says_its_value():
    values, _ = table(rows=50)
    model = booster(values, np.ones(50), trees=2)
    assert difference(model, values) < 1e-12


def test_what_cannot_be_explained_exactly_is_refused():
    values, label = table()
    with pytest.raises(NotExplainable, match="Linear"):
        forest([booster(values, label.astype(float), objective="regression", linear_tree=True)])
    with pytest.raises(NotExplainable, match="averaged"):
        forest([booster(values, label, boosting="rf", bagging_fraction=0.5, bagging_freq=1)])
    assert MOST_NODES >= 32
