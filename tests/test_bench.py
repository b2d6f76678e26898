"""What the benchmark calls a miss: a median beyond its goal by more than the rounds usually differ."""

import pytest

from tests.bench import Limit, Ratio, noise_of


def test_one_odd_round_neither_hides_nor_makes_a_miss():
    assert not Ratio("", [1.0] * 5, [1.1, 1.2, 1.1, 1.2, 5.0], 3.0).met
    assert not Limit("", [6.0, 7.0, 7.0, 7.0, 1.0], 4.0).met
    assert Ratio("", [1.0] * 5, [3.1, 3.2, 3.1, 3.2, 0.5], 3.0).met
    assert Limit("", [3.0, 3.1, 3.1, 3.2, 9.0], 4.0).met


def test_noise_is_the_median_distance_from_the_median():
    assert noise_of([1.0, 2.0, 3.0, 4.0, 100.0]) == pytest.approx(1.0)
    assert Ratio("", [1.0] * 5, [2.9, 2.8, 2.95, 3.1, 3.2], 3.0).met  # 2.95 and 0.15
    assert not Limit("", [4.1, 4.11, 4.12, 4.13, 4.14], 4.0).met
    assert Ratio("", [1.0], [0.1], None).met
