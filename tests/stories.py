"""What each role comes for, walked through in a browser without JavaScript: one function a role, in either language.

Decisions are made for real and read back on another page. They hang together: the officer asks and objects first,
others answer, the officer reads the answers, the auditor finds it all in the log.
"""

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser

from serving.access.roles import Role
from tests.browsing import Served, Walker, kind_of
from tests.story_home import RISK

WORDS = {
    "help": {"zh": "夜班太密，想谈一谈。", "en": "Too many nights in a row; I want to talk."},
    "wrong": {"zh": "这条记录日期有误。", "en": "The day of this record is wrong."},
    "low": {"zh": "长案未计入，评分偏高。", "en": "A long case is not counted; the score is too high."},
    "call": {"zh": "已约周三面谈。", "en": "We meet on Wednesday."},
    "known": {"zh": "已知原因，家中有事。", "en": "The cause is known, it is at home."},
    "upheld": {"zh": "已核实，该案应计入。", "en": "We checked: the case counts."},
    "better": {"zh": "新近月份更准。", "en": "Better on the newest months."},
    "slower": {"zh": "核对后退回。", "en": "Taken back after a check."},
}
"""What people write in the stories."""
OWN = "my own long password"
"""The password that each chooses instead of the first one."""


def enter(walker: Walker, role: Role, password: str) -> None:
    """Sign in; a first password must be changed before anything else."""
    walker.open(f"/sign-in?lang={walker.language}")
    walker.fill(walker.say("account_name"), role.value)
    walker.fill(walker.say("password"), password)
    walker.press(walker.say("sign_in"))
    if password != OWN:
        walker.sees(walker.say("password_first"))
        walker.open("/my-record" if role is Role.OFFICER else "/lists")  # nothing else opens before
        assert walker.page.url.endswith("/password")
        walker.fill(walker.say("password_now"), password)
        walker.fill(walker.say("password_new"), OWN)
        walker.fill(walker.say("password_again"), OWN)
        walker.press(walker.say("password_change"))
    assert "/password" not in walker.page.url


def leave(walker: Walker) -> None:
    """Sign out."""
    walker.press(walker.say("sign_out"), within=walker.page.locator("header"))


def officer(walker: Walker) -> None:
    """What does it say of me, is it right? A record contested, help asked for, consent taken back and given."""
    home(walker, "nav_mine")
    walker.unfold(walker.say("table_behind"))
    help_ = walker.part(walker.say("mine_help"))
    walker.pick(walker.say("mine_help_kind"), "talk", within=help_)
    walker.fill(walker.say("mine_help_told"), said(walker, "help"), within=help_)
    walker.press(walker.say("mine_help_send"))
    walker.sees(walker.say("mine_done_help"))
    walker.follow(re.compile("."), within=walker.part(walker.say("mine_by_measure")).locator("tbody"))
    walker.main.get_by_role("checkbox").first.check()
    walker.fill(walker.say("contest_told"), said(walker, "wrong"))
    walker.press(walker.say("contest_send"))
    walker.sees(said(walker, "wrong"), within=walker.part(walker.say("mine_contested")))
    score = walker.main.locator("article:has(input[name=risk][value=efficiency_decline])")
    walker.unfold(walker.say("contest_score"), within=score)
    walker.fill(walker.say("contest_told"), said(walker, "low"), within=score)
    walker.press(walker.say("contest_send"), within=score)
    walker.sees(said(walker, "low"), within=walker.part(walker.say("mine_contested")))
    health = walker.part(walker.say("mine_health"))
    walker.press(walker.say("withdraw"), within=health)
    walker.sees(walker.say("mine_done_withdrawn"))
    walker.press(walker.say("give"), within=health)
    walker.sees(walker.say("mine_done_given"))
    to(walker, "nav_stars")
    to(walker, "nav_notice")


def wellness(walker: Walker) -> None:
    """Who needs attention this month, and why? Help answered, flags decided, a list published, rest arranged."""
    home(walker, "nav_lists")
    answer_help(walker)
    decide_flags(walker)
    ask_what_if(walker)
    publish(walker)
    arrange_rest(walker)
    for place in ("nav_mentoring", "nav_effects", "nav_offers", "nav_stars", "nav_monitor", "nav_reviews"):
        to(walker, place)


def answer_help(walker: Walker) -> None:
    """Whoever asked stands above the list: the page is read, the talk agreed, the answer written."""
    to(walker, "nav_objections")
    walker.follow_first("article h3 a")
    walker.sees(walker.say("asked_tag"))
    to(walker, "nav_objections")
    asked = walker.part(walker.say("help_talk"))
    walker.sees(said(walker, "help"), within=asked)
    walker.unfold(walker.say("asked_answer"), within=asked)
    walker.fill(walker.say("asked_agreed"), said(walker, "call"), within=asked)
    walker.press(walker.say("asked_send"))
    walker.sees(said(walker, "call"))
    assert walker.main.locator("#asked").count() == 0


def decide_flags(walker: Walker) -> None:
    """Filter, open a person, read why, decide: act, watch, dismiss, and be told that dismissing needs a reason."""
    to(walker, "nav_lists")
    walker.follow_first(".tabs a[href*=burnout]")
    walker.pick(walker.say("status"), "open")
    walker.press(walker.say("show"))
    walker.follow_first(".people .officer a")
    person = walker.main.get_by_role("heading", level=1).inner_text()
    assert walker.main.locator(".reasons .edge").count() >= 2
    decided(walker, "decide_act", "call")
    walker.sees(said(walker, "call"))
    walker.open("/lists/burnout?status=acted")
    walker.sees(person.split()[-1])
    for decision, why, status in (("decide_watch", "known", "watched"), ("decide_dismiss", "known", "dismissed")):
        walker.open("/lists/burnout?status=open")
        row = walker.main.locator(".people tbody tr:has(details.decide)").first
        number = row.locator(".officer a").inner_text().split()[-1]
        walker.unfold(walker.say("decide"), within=row)
        walker.tick(walker.say(decision), within=row)
        if decision == "decide_dismiss":
            walker.press(walker.say("decide_send"), within=row, status=422)
            walker.sees({"zh": "不予处理须写明理由", "en": "Say why it is dismissed"}[walker.language])
            walker.open("/lists/burnout?status=open")
            row = walker.main.locator(f".people tbody tr:has-text('{number}')")
            walker.unfold(walker.say("decide"), within=row)
            walker.tick(walker.say(decision), within=row)
        walker.fill(walker.say("decide_reason"), said(walker, why), within=row)
        walker.press(walker.say("decide_send"), within=row)
        walker.open(f"/lists/burnout?status={status}")
        walker.sees(number)


def decided(walker: Walker, decision: str, why: str) -> None:
    """Decide on the page of a person."""
    form = walker.main.locator("details.decide form").first
    walker.tick(walker.say(decision), within=form)
    walker.fill(walker.say("decide_reason"), said(walker, why), within=form)
    walker.press(walker.say("decide_send"), within=form)


def ask_what_if(walker: Walker) -> None:
    """What would fewer hours do? The model's answer, with its caution."""
    walker.open("/lists/burnout")
    walker.follow_first(".people .officer a")
    walker.follow(walker.say("what_if_go"))
    lever = walker.main.locator("input[name^=less-]:not([max='0'])").first
    lever.fill(lever.get_attribute("max"))
    walker.press(walker.say("what_if_ask"))
    walker.sees(walker.say("what_if_caution"))


def publish(walker: Walker) -> None:
    """Publish a draft of the months; it is out from then on, and handed out as a file."""
    to(walker, "nav_months")
    drafts = walker.main.locator("form[action='/months/publish']")
    before = drafts.count()
    reason = drafts.first.locator("input[name=despite]")
    if reason.count():  # the monitor holds the list back: publishing it all the same needs a written reason
        reason.fill(said(walker, "known"))
    walker.press(walker.say("months_publish"), within=drafts.first)
    assert drafts.count() == before - 1
    walker.sees(walker.say("list_published"))
    assert walker.fetch(walker.say("export_csv")).read_text(encoding="utf-8-sig").count("\n") > 5


def arrange_rest(walker: Walker) -> None:
    """A plan within the quota: made, read, confirmed."""
    to(walker, "nav_rest")
    walker.fill(walker.say("rest_quota"), "6")
    walker.press(walker.say("rest_make"))
    walker.page.get_by_role("button", name=walker.say("rest_confirm")).wait_for()  # the page looks again by itself
    place = urlsplit(walker.page.url).path
    walker.checked.discard(f"200 {kind_of(place)}")
    walker.open(place)
    walker.press(walker.say("rest_confirm"))
    walker.sees(walker.say("rest_confirmed"), within=walker.main.locator("h1"))


def hr(walker: Walker) -> None:
    """Who should mentor whom, who has earned what? Pairs, points, an offer, an objection decided."""
    home(walker, "nav_lists")
    propose_pairs(walker)
    to(walker, "nav_cockpit")
    for place in ("nav_assessment", "nav_warnings", "nav_stars"):
        walker.follow(walker.say(place), within=walker.main.locator("nav.tabs"))
    read_points(walker)
    answer_offer(walker)
    decide_objection(walker)
    to(walker, "nav_months")


def propose_pairs(walker: Walker) -> None:
    """Pairs are proposed with reasons; one is agreed to, one is not wanted."""
    to(walker, "nav_mentoring")
    made = walker.main.locator("article[id^=pair-]").count()  # the month's run may have proposed some already
    walker.press(walker.say("mentoring_again" if made else "mentoring_propose"))
    pair = walker.main.locator("article[id^=pair-]").first
    name = pair.get_attribute("id")
    walker.press(walker.say("pair_do_offer"), within=pair)
    walker.press(walker.say("pair_do_accept"), within=walker.main.locator(f"#{name}"))
    walker.sees(walker.say("pair_do_start"), within=walker.main.locator(f"#{name}"))
    other = walker.main.locator("#proposed ~ article").first
    if other.count():
        gone = other.get_attribute("id")
        walker.unfold(walker.say("pair_do_refuse"), within=other)
        walker.press(walker.say("pair_do_refuse"), within=other)
        assert walker.main.locator(f"#{gone}").count() == 0


def read_points(walker: Walker) -> None:
    """From the force to a unit, a person, and the entries of the person's points."""
    to(walker, "nav_cockpit")
    walker.follow_first("table.assessed .officer a")
    walker.follow_first("table.assessed .officer a")
    walker.follow(walker.say("all_events"))
    walker.page.go_back()
    walker.follow(walker.say("points_open"))


def answer_offer(walker: Walker) -> None:
    """What is offered to somebody is accepted, and stands so."""
    to(walker, "nav_offers")
    offer = walker.main.locator("article[id^=offer-]:has(details form)").first
    name = offer.get_attribute("id")
    walker.unfold(walker.say("offer_decide"), within=offer)
    walker.press(walker.say("offer_accept"), within=offer)
    walker.sees(walker.say("offer_accepted"), within=walker.main.locator(f"#{name}"))


def decide_objection(walker: Walker) -> None:
    """Somebody who did not review first decides, and writes the answer."""
    to(walker, "nav_objections")
    walker.follow_first(f"[aria-labelledby=open] tr:has-text('{walker.say('against_score')}') a")
    walker.sees(said(walker, "low"))
    walker.tick(re.compile(re.escape(walker.say("ended_upheld"))))
    walker.fill(walker.say("objection_answer"), said(walker, "upheld"))
    walker.press(walker.say("objection_send"))
    walker.sees(said(walker, "upheld"))


def commander(walker: Walker) -> None:
    """How is my unit, and what can I change? Units first, a lever tried, the cockpit."""
    home(walker, "nav_lists")
    walker.unfold(walker.say("units_more"))
    walker.follow_first("[aria-labelledby=units] td a[href^='/units/']")
    walker.follow_first(".people .officer a")
    walker.follow(walker.say("what_if_go"))
    walker.press(walker.say("what_if_ask"))
    to(walker, "nav_cockpit")
    walker.follow_first("table.assessed .officer a")
    for place in ("nav_rest", "nav_mentoring", "nav_effects", "nav_offers", "nav_stars"):
        to(walker, place)


def data_scientist(walker: Walker) -> None:
    """Is the model still right, is the new one better? Drift, a promotion, a refusal, a way back."""
    home(walker, "nav_lists")
    walker.follow_first(".people .officer a")
    for place in ("nav_monitor", "nav_reviews", "nav_arrivals", "nav_models"):
        to(walker, place)
    walker.open(f"/models/{RISK}/2")
    walker.fill(walker.say("models_reason"), said(walker, "better"))
    walker.press(walker.say("model_promote", version=2))
    walker.sees(walker.say("models_serves", version=2))
    walker.sees(said(walker, "better"))
    walker.open(f"/models/{RISK}/3")
    walker.fill(walker.say("models_reason"), said(walker, "better"))
    walker.press(walker.say("model_promote", version=3), status=409)
    walker.sees(walker.say("model_refused"))
    walker.open(f"/models?risk={RISK}")
    back = walker.unfold(walker.say("models_roll_back", version=1))
    walker.fill(walker.say("models_reason"), said(walker, "slower"), within=back)
    walker.press(walker.say("models_roll_back", version=1), within=back)
    walker.sees(walker.say("models_serves", version=1))


def officer_again(walker: Walker) -> None:
    """The officer reads the answers, and who looked."""
    home(walker, "nav_mine")
    walker.sees(said(walker, "upheld"), within=walker.part(walker.say("mine_contested")))
    walker.sees(said(walker, "call"), within=walker.part(walker.say("mine_help")))
    walker.sees(walker.say("role_wellness"), within=walker.part(walker.say("mine_looked")))


def admin(walker: Walker) -> None:
    """Who may come in, what has arrived? An account and a token made, an export uploaded, its bad row in quarantine."""
    home(walker, "nav_arrivals")
    walker.main.locator("input[type=file]").set_input_files(export())
    walker.press(walker.say("upload_send"))
    walker.sees(walker.say("upload_done"))
    walker.sees(walker.say("bad_title", n=1))
    to(walker, "nav_accounts")
    add = walker.part(walker.say("accounts_add"))
    walker.fill(walker.say("account_name"), "newcomer", within=add)
    walker.pick(walker.say("accounts_role"), "auditor", within=add)
    walker.press(walker.say("accounts_add"), within=add)
    walker.sees(walker.say("accounts_shown", name="newcomer"))
    row = walker.main.locator("tr:has-text('newcomer')")
    walker.unfold(walker.say("accounts_change"), within=row)
    walker.fill(walker.say("accounts_token_label"), "report", within=row)
    walker.press(walker.say("accounts_token_add"), within=row)
    walker.sees(walker.say("accounts_shown_token", name="newcomer"))
    to(walker, "nav_accounts")
    walker.sees("report", within=walker.main.locator("tr:has-text('newcomer')"))


def auditor(walker: Walker) -> None:
    """Was every step lawful? The log is whole, and what the others did stands in it."""
    home(walker, "nav_log")
    walker.follow(walker.say("log_verify_now"))
    assert walker.main.get_by_role("status").inner_text().startswith("✓")
    for action in ("flag decided", "list published", "objection decided", "model promoted", "token made"):
        walker.pick(walker.say("log_action"), action)
        walker.press(walker.say("show"))
        assert walker.main.locator("tbody th").count() >= 1
    for place in ("nav_models", "nav_monitor", "nav_reviews"):
        to(walker, place)


Story = Callable[[Walker], None]
ROLE_OF: dict[Story, Role] = {
    officer: Role.OFFICER,
    wellness: Role.WELLNESS,
    hr: Role.HR,
    commander: Role.COMMANDER,
    data_scientist: Role.DATA_SCIENTIST,
    officer_again: Role.OFFICER,
    admin: Role.ADMIN,
    auditor: Role.AUDITOR,
}
"""The day of a bureau, in its order."""


def lived(browser: Browser, served: Served, passwords: dict[Role, str], story: Story, **how: Any) -> int:
    """Let somebody of the story's role come, do what they came for, and leave; return how many pages they opened."""
    walker, role = Walker(browser, served, **how), ROLE_OF[story]
    try:
        enter(walker, role, passwords[role])
        passwords[role] = OWN
        story(walker)
        leave(walker)
    finally:
        walker.close()
    return walker.pages


def home(walker: Walker, place: str) -> None:
    """The front page leads to the first place of the role."""
    walker.open("/")
    current = walker.page.locator("header nav a[aria-current]")
    assert (current.text_content() or "").strip() == walker.say(place)  # folded into the menu on a narrow screen


def to(walker: Walker, place: str) -> None:
    """Go to a place of the navigation; on a narrow screen it lies in a menu that is opened first."""
    menu = walker.page.locator("header .menu > summary")
    if menu.is_visible():
        menu.click()
    walker.follow(walker.say(place), within=walker.page.locator("header nav, footer"))


def said(walker: Walker, key: str) -> str:
    """Return what somebody writes, in the walker's language."""
    return WORDS[key][walker.language]


def export() -> list[dict[str, object]]:
    """Return the files of a small export, one row of which names a measure that nobody knows."""
    roster = "officer_id,valid_from,valid_to,post,unit\nP900001,2024-01-01,,patrol,巡逻一队\n"
    events = "officer_id,measure,occurred_on,value\nP900001,night_shift,2024-12-05,2\nP900001,unheard,2024-12-06,1\n"
    return [
        {"name": name, "mimeType": "text/csv", "buffer": text.encode()}
        for name, text in (("roster.csv", roster), ("events.csv", events))
    ]
