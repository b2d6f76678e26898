"""How texts are said: words after numbers in their right form, a reason's push told once, the log in words."""

import ast
from pathlib import Path

import pytest

import serving
from features.profile import load_profile
from serving.access.audit import Actor, record
from serving.access.tables import AuditRow
from serving.access.trail import WITHHELD, Wanted, trail
from serving.database import transaction
from serving.pages.logged import lines, subject
from serving.words import COUNTED, WORDS, pushless, say
from training.models.telling import _chinese, _english

WRITTEN = Path(serving.__file__).parent


@pytest.mark.parametrize(
    ("key", "one", "more"),
    [
        ("persons_n", "1 person", "2 persons"),
        ("overdue", "1 day overdue", "2 days overdue"),
        ("bad_title", "Quarantine: 1 row", "Quarantine: 2 rows"),
        ("events_n", "1 event", "2 events"),
    ],
)
def test_the_word_after_one_is_singular_and_after_others_plural(key, one, more):
    assert say(key, "en", n=1) == one
    assert say(key, "en", n=2) == more
    assert say(key, "en", n="1,000").startswith(more.replace("2", "1,000"))


def test_no_choice_of_words_reaches_a_reader_and_what_people_typed_stays_as_it_is():
    for key, texts in WORDS.items():
        assert "[" not in COUNTED.sub("", texts["en"]), key
        assert "[" not in texts["zh"], key
    assert say("done_reason", "en", reason="see 2 [a|b]").endswith("see 2 [a|b]")


@pytest.mark.parametrize("up", [True, False])
@pytest.mark.parametrize("sentence", [_chinese, _english])
def test_the_push_at_the_end_of_a_reason_is_left_out_where_an_arrow_says_it(sentence, up):
    told = sentence("Night shifts: 12", ["usually 7"], up=up)
    assert pushless(told) != told
    assert pushless(told).endswith("usually 7")


def test_every_detail_that_is_written_to_the_log_has_a_name():
    for file in WRITTEN.rglob("*.py"):
        for call in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "record":
                for word in call.keywords:
                    assert word.arg is None or f"detail_{word.arg}" in WORDS, f"{file.name}: {word.arg}"


def logged(store, *rows):
    with transaction(store) as session:
        for action, about, details in rows:
            record(session, Actor("chen", "wellness"), action, about, **details)
    with transaction(store, writes=False) as session:
        return trail(session, Wanted())


LOOKS = [
    ("looked", "P1", {"at": "/officers/{officer_id}"}),
    ("looked", "P1", {"at": "/officers/{officer_id}/risk.svg"}),
    ("looked", "P1", {"at": "/officers/{officer_id}/history.svg"}),
    ("looked", "P1", {"at": "/officers/{officer_id}/points"}),
    ("looked", "P2", {"at": "/officers/{officer_id}/risk.svg"}),
]


def at_once(rows):
    """All of them at one moment, and one row a minute later."""
    for row in rows:
        row.at = "2026-01-31T10:00:05.000000+00:00"
    later = AuditRow(number=99, at="2026-01-31T10:01:05.000000+00:00", actor="chen", role="wellness", action="looked",
                     subject="P1", details={"at": "/officers/{officer_id}"}, previous="", hash="")  # fmt: skip
    return [later, *rows]


def test_looks_at_one_page_within_a_minute_are_one_line_and_others_stay_apart(store):
    rows = at_once(logged(store, *LOOKS))
    found = lines(rows, "en", str)
    told = {(line.subject, line.details[0][1], line.at[14:16]): line.numbers for line in found}
    assert told == {
        ("P1", "the person's page", "01"): "99",
        ("P2", "the person's page", "00"): "5",
        ("P1", "the points ledger", "00"): "4",
        ("P1", "the person's page", "00"): "1–3",
    }
    assert sorted(number for line in found for number, _ in line.written) == [1, 2, 3, 4, 5, 99]


def test_the_log_tells_a_unit_from_a_person_and_two_persons_and_the_command_line_in_words(store):
    rows = logged(
        store,
        ("looked", "unit North 2", {"at": "/units/{risk}/{unit}"}),
        ("looked", "P1", {"at": "/officers/{officer_id}"}),
        ("kept apart", "officers P1, P2", {}),
    )
    with transaction(store) as session:
        record(session, Actor("wang", "command line"), "lists scored", "2024-12")
        rows = [*rows, *trail(session, Wanted(actor="wang"))]
    found = {line.subject: line for line in lines(rows, "zh", str)}
    assert found["单位 North 2"].did == "查看单位"
    assert found["P1"].did == "查看个人"
    assert "警号 P1, P2" in found
    assert (found["P1"].role, found["2024-12"].role) == ("健康护航", "命令行")


def test_details_are_said_in_words_and_what_tells_of_health_stays_out(store):
    rows = logged(
        store,
        ("flag decided", "flag 12", {"decision": "watch", "as_of": "2024-12-31", "action": "counselling"}),
        ("objection made", "objection 3", {"against": "record", "risk": "burnout", "records": 2}),
    )
    profile = load_profile("gongan")
    objection, flag = lines(rows, "zh", lambda key: profile.label(key, "zh"))
    assert (flag.subject, flag.details) == ("关注提示 12", [("决定", "继续观察"), ("截至", "2024年12月31日")])
    assert flag.withheld == ["安排"]
    assert ("针对", "记录") in objection.details
    assert set(WITHHELD["objection made"]) == {"risk", "digest"}
    for line in (flag, objection):
        assert "counselling" not in "".join(text for _, text in line.written)
        assert "burnout" not in "".join(text for _, text in line.written)


def test_a_subject_that_is_no_thing_of_ours_is_said_as_it_is():
    assert subject("P000025", "en", str) == "P000025"
    assert subject("rest plan 2", "en", str) == "rest plan 2"
    assert subject("rest plan 2", "zh", str) == "休整计划 2"
    assert subject("burnout", "zh", {"burnout": "倦怠风险"}.get) == "倦怠风险"
