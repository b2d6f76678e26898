"""Every feature name turns into a sentence in Chinese and English."""

import math

import pytest

from features.engine import feature_names
from features.errors import Refusal
from features.names import feature_sentence, group_of, number_text, parse_name
from features.profile import load_profile
from tests.forces import small_profile


@pytest.mark.parametrize("profile", [small_profile(), load_profile("gongan")], ids=["small", "gongan"])
def test_every_feature_name_is_a_sentence_in_both_languages(profile) -> None:
    for name in feature_names(profile):
        zh, en = (feature_sentence(profile, name, language, value=2.5) for language in ("zh", "en"))
        assert any("一" <= letter <= "鿿" for letter in zh), name
        assert not any("一" <= letter <= "鿿" for letter in en), name
        assert "__" not in zh + en
        assert "{" not in zh + en


def test_two_features_never_share_a_sentence() -> None:
    profile = load_profile("gongan")
    for language in ("zh", "en"):
        told = [feature_sentence(profile, name, language) for name in feature_names(profile)]
        assert len(set(told)) == len(told)


def test_a_sentence_names_measure_window_value_and_unit() -> None:
    profile = small_profile()
    assert feature_sentence(profile, "night_shift__sum__3m", "zh", value=14) == "夜班，近 3 个月合计：14 次"
    assert (
        feature_sentence(profile, "night_shift__sum__3m", "en", value=14) == "Night shifts, sum of 3 months: 14 shifts"
    )


def test_names_are_parsed_and_nonsense_is_refused() -> None:
    assert group_of("complaint__months_since") == "complaint"
    assert parse_name("night_shift__decay__48m").months == 48
    for wrong in ("night_shift", "night_shift__sum__three", "a__b__c__d"):
        with pytest.raises(Refusal):
            parse_name(wrong)


@pytest.mark.parametrize(
    ("value", "text"),
    [(14.0, "14"), (2.5, "2.5"), (0.126, "0.13"), (12345.6, "12,346"), (-3.0, "-3"), (math.nan, "no record")],
)
def test_numbers_are_written_as_a_person_would(value: float, text: str) -> None:
    assert number_text(value, "en") == text
