"""The data page: uploads through the one door, quarantine without persons, holes that are seen; and the notice."""

import io
import re
import shutil
import zipfile

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import select

from features.errors import Refusal
from features.histories.ingest import ingest
from features.histories.store import load_histories, quarantined
from features.profile import load_profile
from serving.access.tables import AuditRow
from serving.app import create_app
from serving.arrivals import uploads
from serving.arrivals.arrived import FORCE, UNTOLD, Arrived, arrived
from serving.arrivals.uploads import Sent, take_in
from serving.database import open_database, transaction
from serving.words import WORDS, say
from tests.serving_fixtures import signed_in_client

HTML = {"accept": "text/html"}
MONTHS = pd.date_range("2023-01-01", periods=24, freq="MS")
UNITS = ("东大队",) * 8 + ("小队",) * 2 + ("西大队",) * 7 + ("末队",) * 3
"""Of 20 officers; the two small ones have five together, so that nothing else need be hidden for them."""
HEADER = "officer_id,valid_from,post,unit\n"
ROSTER = HEADER + "".join(f"{n:06d},2020-01-01,patrol,{unit}\n" for n, unit in enumerate(UNITS))


def events(*, without=(), bad=0):
    """Everyone has duty hours, two nights and a sick day a month; some months of some units are left out."""
    rows = ["officer_id,measure,occurred_on,value,event_id"]
    for month in MONTHS:
        for n, unit in enumerate(UNITS):
            for measure, day in (("duty_hours", 5), ("night_shift", 9), ("night_shift", 19), ("sick_days", 11)):
                if (f"{month:%Y-%m}", measure, unit) not in without:
                    rows.append(f"{n:06d},{measure},{month:%Y-%m}-{day:02d},1,{measure}-{n}-{month:%Y%m}-{day}")
    rows += [f"{n:06d},no_such_measure,2024-01-01,1,bad-{n}" for n in range(bad)]
    return "\n".join(rows) + "\n"


def packed(**files):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, text in files.items():
            archive.writestr(name.replace("_dot_", ".").replace("_in_", "/"), text)
    content.seek(0)
    return content


def export(**more):
    return packed(roster_dot_csv=ROSTER, events_dot_csv=events(**more))


@pytest.fixture
def home(tmp_path):
    take_in(tmp_path / "home", [Sent("export.zip", export())], strict=False)
    return tmp_path / "home"


def test_an_upload_is_taken_in_as_the_same_export_from_disk_would_be(home, tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "roster.csv").write_text(ROSTER, encoding="utf-8")
    (folder / "events.csv").write_text(events(), encoding="utf-8")
    ingest(folder, home=tmp_path / "other", profile=None, strict=False)
    one, other = load_histories(home), load_histories(tmp_path / "other")
    for column in ("officer", "measure", "occurred", "recorded"):
        assert getattr(one.events, column).tobytes() == getattr(other.events, column).tobytes()
    assert not (home / "var" / "uploads").exists()


def test_two_files_without_a_zip_and_a_zip_with_folders_do_as_well(tmp_path):
    two = [Sent("roster.csv", io.BytesIO(ROSTER.encode())), Sent("events.csv", io.BytesIO(events().encode()))]
    assert take_in(tmp_path / "a", two, strict=False).events_new == 24 * 20 * 4
    deep = packed(out_in_roster_dot_csv=ROSTER, out_in_events_in_part1_dot_csv=events())
    assert take_in(tmp_path / "b", [Sent("deep.zip", deep)], strict=False).events_new == 24 * 20 * 4


@pytest.mark.parametrize("sent", [
    [], [Sent("x.zip", io.BytesIO(b"no zip"))], [Sent("roster.exe", io.BytesIO(b"x"))],
    [Sent("x.zip", packed(other_dot_csv="a"))], [Sent("x.zip", packed(roster_dot_csv=ROSTER))],
    [Sent("a.zip", packed(roster_dot_csv=ROSTER)), Sent("roster.csv", io.BytesIO(b"x"))],
])  # fmt: skip
def test_what_is_no_export_is_refused_and_leaves_nothing(tmp_path, sent):
    with pytest.raises(Refusal):
        take_in(tmp_path, sent, strict=False)
    assert not (tmp_path / "var" / "uploads").exists()
    assert not (tmp_path / "var" / "histories" / "current.json").exists()


def damaged(method):
    """A zip whose packed bytes were overwritten in the middle."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", method) as archive:
        archive.writestr("roster.csv", ROSTER)
        start, length = 30 + len("roster.csv"), archive.getinfo("roster.csv").compress_size
    for place in (start + 4, start + 5, start + 6, start + length // 2, start + length // 2 + 1):
        content.getbuffer()[place] ^= 0xFF
    content.seek(0)
    return content


@pytest.mark.parametrize("sent", [
    Sent("x.zip", damaged(zipfile.ZIP_DEFLATED)), Sent("x.zip", damaged(zipfile.ZIP_BZIP2)),
    Sent("x.zip", damaged(zipfile.ZIP_LZMA)), Sent("x.zip", packed(**{"events_in_" + "e" * 300 + "_dot_csv": "a"})),
    Sent("x.zip", packed(**{"events_in_" + "警" * 90 + "_dot_csv": "a"})), Sent("n" * 300 + ".csv", io.BytesIO(b"a")),
])  # fmt: skip
def test_a_damaged_archive_and_names_too_long_for_a_disk_are_refused(tmp_path, sent):
    with pytest.raises(Refusal):
        take_in(tmp_path, [sent], strict=False)
    assert not (tmp_path / "var" / "uploads").exists()


@pytest.mark.parametrize("name", ["n" * 300, "警" * 100])
def test_the_name_of_an_upload_may_be_of_any_length(tmp_path, name):
    assert take_in(tmp_path / "a", [Sent(f"{name}.zip", export())], strict=False).events_new == 24 * 20 * 4


def test_a_zip_that_unpacks_beyond_the_bound_is_refused_while_it_unpacks(tmp_path, monkeypatch):
    monkeypatch.setattr(uploads, "LARGEST_UNPACKED", 5 * 1024 * 1024)
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("roster.csv", ROSTER)
        archive.writestr("events.csv", b"0" * (20 * 1024 * 1024))
    bomb.seek(0)
    with pytest.raises(Refusal, match="GB unpacked"):
        take_in(tmp_path, [Sent("bomb.zip", bomb)], strict=False)


def test_names_that_lead_out_of_the_upload_stay_inside(tmp_path):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("../../roster.csv", ROSTER)
        archive.writestr("..\\..\\events.csv", events())
    content.seek(0)
    take_in(tmp_path / "home", [Sent("../../evil.zip", content)], strict=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home"]


def test_a_corrected_export_takes_its_rows_out_of_the_quarantine(home):
    assert take_in(home, [Sent("export.zip", export(bad=3))], strict=False).entries.num_rows == 3
    assert len(quarantined(home)) == 3
    take_in(home, [Sent("export.zip", export())], strict=False)
    assert quarantined(home) == []
    with pytest.raises(Refusal):
        take_in(home, [Sent("export.zip", export(bad=3))], strict=True)


def test_what_arrived_is_counted_by_measure_unit_and_month_without_health_in_units(home):
    found = arrived(home)
    assert found.months == tuple(f"{month:%Y-%m}" for month in MONTHS)
    whole = dict(found.of())
    assert set(whole) == {"duty_hours", "night_shift", "sick_days"}
    assert (whole["night_shift"] == 40).all()
    assert (dict(found.of("东大队"))["duty_hours"] == 8).all()
    assert set(dict(found.of("东大队"))) == {"duty_hours", "night_shift"}
    assert found.of("小队") == found.of("末队") == []  # two people and three
    assert [name for name, _ in found.by_unit()] == ["东大队", "西大队"]
    again = arrived(home)  # from the file
    assert again.rows.tobytes() == found.rows.tobytes()
    assert again.units == found.units


def test_a_hole_is_seen_in_the_force_and_in_the_unit_and_a_whole_series_has_none(tmp_path):
    gone = {("2024-03", "night_shift", unit) for unit in UNITS}
    silent = {("2024-05", measure, "西大队") for measure in ("duty_hours", "night_shift", "sick_days")}
    take_in(tmp_path, [Sent("e.zip", export(without=gone | silent))], strict=False)
    found = arrived(tmp_path)
    assert [(hole.measure, hole.month, hole.rows) for hole in found.holes(found.of())] == [
        ("night_shift", "2024-03", 0)
    ]
    assert [(hole.measure, hole.month) for hole in found.holes(found.by_unit())] == [("西大队", "2024-05")]
    assert found.holes([("duty_hours", dict(found.of())["duty_hours"])]) == []


def test_a_unit_that_shrank_is_told_only_for_the_months_in_which_five_stood_there(tmp_path):
    left = "".join(f"{n:06d},2024-03-01,patrol,西大队\n" for n in range(6))  # two of eight stay in 东大队
    content = packed(roster_dot_csv=ROSTER + left, events_dot_csv=events())
    take_in(tmp_path, [Sent("e.zip", content)], strict=False)
    found = arrived(tmp_path)
    before, after = slice(0, 14), slice(14, None)
    for rows in (dict(found.of("东大队"))["duty_hours"], dict(found.by_unit())["东大队"]):
        assert (rows[before] > 0).all()
        assert set(rows[after].tolist()) == {UNTOLD}
    assert found.holes(found.of("东大队")) == found.holes(found.by_unit()) == []
    assert (dict(found.of())["duty_hours"] == 20).all()
    engine = open_database(tmp_path)
    admin = signed_in_client(create_app(tmp_path, engine), engine, "admin")
    page = admin.get("/arrivals?unit=东大队&lang=en", headers=HTML).text
    assert WORDS["arrivals_small_months"]["en"] in page
    cells = re.findall(r'<td class="n">([^<]*)</td>', page.split("<tbody>")[1].split("</tr>")[0])
    assert (set(cells[before]), set(cells[after])) == ({"16"}, {""})  # nights come first
    assert admin.get("/arrivals/picture.svg?unit=东大队").status_code == 200
    engine.dispose()


def test_what_all_units_leave_of_the_force_tells_nothing_of_a_small_one(tmp_path):
    """By measure and month: the force less every unit that is told, be it by measures or by its total."""
    units = ["甲队"] * 2 + ["乙队"] * 6 + ["丙队"] * 7 + ["丁队"] * 9
    roster = HEADER + "".join(f"{n:06d},2020-01-01,patrol,{unit}\n" for n, unit in enumerate(units))
    sent = {"duty_hours": range(24), "night_shift": (0, 1, *range(8, 24)), "complaint": (0, *range(15, 24)),
            "court_day": (1,), "case_solved": range(2, 24), "sick_days": range(24)}  # fmt: skip
    rows = [
        f"{n:06d},{measure},{month:%Y-%m}-09,1,{measure}-{n}-{month:%Y%m}"
        for month in MONTHS for measure, who in sent.items() for n in who
    ]  # fmt: skip
    happened = "officer_id,measure,occurred_on,value,event_id\n" + "\n".join(rows) + "\n"
    take_in(tmp_path, [Sent("e.zip", packed(roster_dot_csv=roster, events_dot_csv=happened))], strict=False)
    found = arrived(tmp_path)
    whole, told = dict(found.of()), {name: dict(found.of(name)) for name in found.named}
    for measure, who in sent.items():
        few = sum(n < 2 for n in who)
        left = whole.get(measure, np.full(24, UNTOLD)).copy()
        for unit in told:
            of_unit = told[unit].get(measure, np.zeros(24, dtype=np.int32))
            left -= np.where(of_unit == UNTOLD, 0, of_unit)
        assert (left != few).all() or few == 0, (measure, left)
    assert set(told) == {"丙队", "丁队"}
    assert (whole["sick_days"] == 24).all()  # counted for the force only: no unit gives it away
    assert "court_day" not in whole  # only one of the two sent it
    assert "night_shift" not in told["丙队"]  # for 乙队 sent none
    assert (told["丁队"]["night_shift"] == 9).all()
    assert "complaint" not in told["丁队"]  # the only ones besides
    assert found.by_unit() == []  # a unit's total less what is told of it would be what is not


def test_the_last_month_is_no_hole_while_it_is_not_over():
    rows = np.array([40] * 12 + [0], dtype=np.int32)
    series = rows[None, None]
    from_store = {"version": "v", "units": (FORCE,), "measures": ("m",), "months": tuple("0123456789abc")}
    from_store |= {"rows": series, "people": np.ones((1, 13), dtype=np.int32), "apart": np.zeros(13, dtype=np.int32)}
    made = Arrived
    assert made(unfinished=True, **from_store).holes([("m", rows)]) == []
    assert len(made(unfinished=False, **from_store).holes([("m", rows)])) == 1


def test_the_page_uploads_shows_the_quarantine_without_persons_and_writes_the_log(home):
    engine = open_database(home)
    app = create_app(home, engine)
    admin, scientist = signed_in_client(app, engine, "admin"), signed_in_client(app, engine, "data_scientist")
    files = {"export": ("export.zip", export(bad=3).getvalue(), "application/zip")}
    answer = admin.post("/arrivals?lang=en", files=files, headers=HTML)
    assert answer.status_code == 200, answer.text
    assert "3 rows in quarantine" in answer.text
    for client in (admin, scientist):
        page = client.get("/arrivals?lang=en", headers=HTML).text
        assert "no_such_measure" not in page or "000001" not in page
        assert "000001" not in page
        assert "events.csv" in page
        picture = client.get("/arrivals/picture.svg")
        assert (picture.status_code, picture.headers["content-type"]) == (200, "image/svg+xml")
    assert scientist.post("/arrivals", files=files).status_code == 403
    assert admin.post("/arrivals", files=files, headers={"x-csrf-token": "wrong"}).status_code == 403
    refused = admin.post("/arrivals", files={"export": ("x.zip", b"no zip", "application/zip")}, headers=HTML)
    assert refused.status_code == 422
    assert admin.get("/arrivals?unit=nowhere").status_code == 404
    with transaction(engine, writes=False) as session:
        did = session.scalars(
            select(AuditRow.action).where(AuditRow.actor == "the admin").order_by(AuditRow.number)
        ).all()
        assert [each for each in did if each.startswith(("upload", "histories"))] == [
            "upload begun", "histories taken in", "upload begun", "upload refused",
        ]  # fmt: skip
    engine.dispose()


def test_an_empty_home_says_what_to_do(tmp_path):
    engine = open_database(tmp_path)
    admin = signed_in_client(create_app(tmp_path, engine), engine, "admin")
    assert WORDS["arrivals_empty"]["zh"] in admin.get("/arrivals", headers=HTML).text
    engine.dispose()


def test_nobody_but_admin_and_data_scientist_sees_the_data_page(as_role):
    for role in ("officer", "wellness", "hr", "commander", "auditor"):
        assert as_role(role).get("/arrivals").status_code == 403
        assert as_role(role).get("/arrivals/picture.svg").status_code == 403


@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_notice_is_open_and_says_what_the_profile_has(nobody, language):
    page = nobody.get(f"/notice?lang={language}", headers=HTML)
    assert page.status_code == 200
    profile = load_profile("gongan")
    for key in profile.measures:
        assert profile.label(key, language).replace("'", "&#39;") in page.text, key
    for key, risk in profile.risks.items():
        assert profile.label(key, language) in page.text
        assert str(risk.horizon_months) in page.text
    policy = profile.settings.policy
    kept = say("notice_kept_text", language, months=policy.retention_months, flags=policy.flag_expires_months)
    assert kept.replace("'", "&#39;") in page.text
    assert {"zh": "系统不会自行删除", "en": "deletes nothing by itself"}[language] in page.text
    assert WORDS["notice_register"][language].replace("'", "&#39;") in page.text


def test_the_notice_follows_another_profile(tmp_path, nobody):
    source = load_profile("gongan")
    assert source.settings.sensitive_basis == "organisation"
    folder = tmp_path / "profile"
    shutil.copytree("tests/profiles/small", folder)
    text = (folder / "profile.yaml").read_text(encoding="utf-8")
    (folder / "profile.yaml").write_text(
        text + "\nsensitive_basis: person\npolicy: {objection_days: 9, retention_months: 7}\n"
    )
    export_ = tmp_path / "export"
    export_.mkdir()
    (export_ / "roster.csv").write_text(ROSTER, encoding="utf-8")
    (export_ / "events.csv").write_text(
        "officer_id,measure,occurred_on\n000001,night_shift,2024-01-01\n", encoding="utf-8"
    )
    ingest(export_, home=tmp_path / "home", profile=folder, strict=True)
    engine = open_database(tmp_path / "home")
    page = (
        signed_in_client(create_app(tmp_path / "home", engine), engine, "auditor")
        .get("/notice?lang=en", headers=HTML)
        .text
    )
    assert WORDS["notice_consent"]["en"].replace("'", "&#39;") in page
    assert "within 9 days" in page
    assert "kept for 7 months" in page
    engine.dispose()
