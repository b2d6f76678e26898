"""A refused upload says in the reader's language what is wrong with the files sent and what to do with them."""

import io
import zipfile
from html import unescape

import pandas as pd
import pytest

from features.errors import Refusal
from serving.app import create_app
from serving.arrivals.refused import SINGLE, WHOLE, refusal_told
from serving.arrivals.uploads import Sent, take_in
from serving.database import open_database
from serving.words import CHINESE, WORDS
from tests.serving_fixtures import signed_in_client
from tests.test_arrivals import HTML, ROSTER, damaged, events, packed

EVENTS = events()
OTHER_FORCE = "officer_id,valid_from,post,unit\n" + "".join(f"{n:06d},2020-01-01,sailor,甲\n" for n in range(9))
NO_MEASURE = "officer_id,occurred_on,value\n000001,2024-01-01,1\n"
TWICE = "officer_id,measure,measure,occurred_on\n"


def parquet(**columns):
    content = io.BytesIO()
    pd.DataFrame(columns).to_parquet(content)
    return content.getvalue()


TYPED = parquet(officer_id=["000001"], measure=["night_shift"], occurred_on=[True], value=[1.0])
SENT = {
    "stranger": ({"notes.txt": "hello"}, "notes.txt", "refused_stranger"),
    "no zip": ({"x.zip": "no zip"}, "x.zip", "refused_zip"),
    "damaged zip": ({"x.zip": damaged(zipfile.ZIP_DEFLATED).getvalue()}, "x.zip", "refused_zip"),
    "long name": ({"n" * 300 + ".csv": "a"}, "nnn", "refused_name"),
    "twice": ({"a.zip": packed(roster_dot_csv=ROSTER).getvalue(), "roster.csv": ROSTER}, "roster.csv", "refused_twice"),
    "events alone": ({"events.csv": EVENTS}, "roster.csv", "refused_missing"),
    "roster alone": ({"roster.csv": ROSTER}, "events.csv", "refused_missing"),
    "both kinds": ({"roster.csv": ROSTER, "roster.parquet": TYPED, "events.csv": EVENTS}, "roster.parquet",
                   "refused_both"),
    "file and folder": ({"a.zip": packed(events_in_p_dot_csv=EVENTS).getvalue(), "events.csv": EVENTS,
                         "roster.csv": ROSTER}, "events.csv", "refused_both"),
    "part twice": ({"a.zip": packed(events_in_p_dot_csv=EVENTS, events_in_p_dot_parquet="x").getvalue(),
                    "roster.csv": ROSTER}, "events/p", "refused_twice"),
    "empty": ({"roster.csv": "", "events.csv": EVENTS}, "roster.csv", "refused_empty"),
    "blank": ({"roster.csv": "\n\n", "events.csv": EVENTS}, "roster.csv", "refused_empty"),
    "column missing": ({"roster.csv": ROSTER, "events.csv": NO_MEASURE}, "measure", "refused_columns"),
    "column twice": ({"roster.csv": ROSTER, "events.csv": TWICE}, "measure", "refused_column_twice"),
    "type": ({"roster.csv": ROSTER, "events.parquet": TYPED}, "occurred_on", "refused_type"),
    "utf-16": ({"roster.csv": ROSTER.encode("utf-16"), "events.csv": EVENTS}, "roster.csv", "refused_encoding"),
    "parquet as csv": ({"roster.csv": TYPED, "events.csv": EVENTS}, "roster.csv", "refused_is_parquet"),
    "no parquet": ({"roster.csv": ROSTER, "events.parquet": "no parquet at all"}, "events.parquet", "refused_damaged"),
    "no rows": ({"roster.csv": ROSTER.splitlines()[0] + "\n", "events.csv": EVENTS}, "roster.csv", "refused_no_rows"),
    "another force's": ({"roster.csv": OTHER_FORCE, "events.csv": EVENTS}, "sailor", "refused_misfit"),
}  # fmt: skip


@pytest.fixture(scope="module")
def admin(tmp_path_factory):
    home = tmp_path_factory.mktemp("refused")
    engine = open_database(home)
    yield signed_in_client(create_app(home, engine), engine, "admin"), home
    engine.dispose()


def posted(client, files, language, **form):
    sent = [("export", (name, content, "application/octet-stream")) for name, content in files.items()]
    return client.post(f"/arrivals?lang={language}", files=sent, data=form, headers=HTML)


def told(page):
    """The panel of the refusal, and nothing else of the page."""
    return unescape(page.split('aria-labelledby="refused"')[1].split("</section>")[0])


@pytest.mark.parametrize("case", SENT)
def test_a_refusal_names_the_file_sent_and_what_to_do_and_no_place_on_the_server(admin, case):
    client, home = admin
    files, named, key = SENT[case]
    for language in ("zh", "en"):
        answer = posted(client, files, language)
        assert answer.status_code == 422
        panel = told(answer.text)
        assert named in panel
        fixed = max((part for part in WORDS[key][language].replace("{", "}").split("}")[::2]), key=len)
        assert fixed in panel
        assert str(home) not in answer.text
        assert "/var/" not in panel
        assert "jingxing" not in panel
        if language == "zh":
            assert not any(word in panel for word in ("export", "again", "nothing", " the "))
        else:
            assert not CHINESE.search(panel)
    assert not (home / "var" / "histories" / "current.json").exists()


def test_under_all_or_nothing_every_bad_row_is_told_with_its_line(admin):
    client, _ = admin
    files = {"roster.csv": ROSTER, "events.csv": events(bad=25)}
    zh, en = (told(posted(client, files, language, strict="true").text) for language in ("zh", "en"))
    assert "25 行有误" in zh
    assert "配置中没有这一项目" in zh
    assert "events.csv 第 1922 行：measure 列，配置中没有这一项目" in zh
    assert "另有 5 条" in zh
    assert "25 rows with mistakes" in en
    assert "events.csv, line 1922: measure: the profile has no such measure" in en
    assert "5 more." in en
    assert posted(client, {}, "zh").status_code == 422


def test_a_refusal_that_no_text_is_written_for_says_what_to_do_and_tells_no_folder():
    for refusal in (Refusal("The profile /srv/x cannot be used:", ["/srv/x is bad"]),
                    Refusal("The export /srv/x cannot be read; nothing was changed:", ["/srv/x is odd"])):  # fmt: skip
        for language in ("zh", "en"):
            found = refusal_told(refusal, language)
            assert found.what == WORDS["refused_other"][language]
            assert (found.problems, found.more) == ((), 0)


def test_of_several_mistakes_those_without_a_text_are_counted(tmp_path):
    with pytest.raises(Refusal) as caught:
        take_in(tmp_path, [Sent("events.csv", io.BytesIO(b""))], strict=False)
    refusal = Refusal(caught.value.what, [*caught.value.problems, "something nobody has seen"])
    found = refusal_told(refusal, "en")
    assert [text.split(" ", 3)[:3] for text in found.problems] == [
        ["The", "table", "roster"],
        ["events.csv", "is", "empty."],
    ]
    assert found.more == 1
    assert len(WHOLE) + len(SINGLE) == 22
