"""Roles, permissions and the purpose firewall: three tables in words a manager can check.

What a role may do (PERMISSIONS_OF), which fields it may see for which purpose (MAY_SEE), and whose
(SCOPE_OF). Routes name a permission; queries take the fields and the scope. Nothing is decided in templates.
"""

from enum import StrEnum
from types import MappingProxyType


class Role(StrEnum):
    """The seven roles of the contract."""

    OFFICER = "officer"
    WELLNESS = "wellness"
    HR = "hr"
    COMMANDER = "commander"
    DATA_SCIENTIST = "data_scientist"
    AUDITOR = "auditor"
    ADMIN = "admin"


class Permission(StrEnum):
    """What may be done; PERMISSIONS tells each in words."""

    OPEN = "open"
    SEE_LISTS = "see_risk_lists"
    SEE_PERSON = "see_person"
    SEE_OWN_RECORD = "see_own_record"
    SEE_UNITS = "see_units"
    SEE_EFFECTS = "see_effects"
    SEE_RECOMMENDATIONS = "see_recommendations"
    SEE_ASSESSMENT = "see_assessment"
    SEE_STARS = "see_stars"
    ASK_WHAT_IF = "ask_what_if"
    SCORE_GIVEN_HISTORIES = "score_given_histories"
    REVIEW = "review_flags"
    SEE_MENTORING = "see_mentoring"
    DECIDE_MENTORING = "decide_mentoring"
    SEE_REST_PLANS = "see_rest_plans"
    DECIDE_REST_PLANS = "decide_rest_plans"
    OBJECT = "object"
    ASK_FOR_HELP = "ask_for_help"
    CONSENT = "consent"
    DECIDE_OBJECTIONS = "decide_objections"
    PUBLISH = "publish_lists"
    SEE_MODELS = "see_models"
    PROMOTE = "promote_models"
    SEE_MONITOR = "see_monitor"
    SEE_DATA = "see_data"
    UPLOAD = "upload_histories"
    SEE_AUDIT = "see_audit"
    MANAGE_ACCOUNTS = "manage_accounts"


PERMISSIONS: MappingProxyType[Permission, str] = MappingProxyType(
    {
        Permission.OPEN: "Anyone: the notice, the look of the pages, sign-in. No personal data.",
        Permission.SEE_LISTS: "See who is on the list of a risk, with probabilities and reasons.",
        Permission.SEE_PERSON: "See one person's risks, reasons and history.",
        Permission.SEE_OWN_RECORD: "See what is held and predicted of oneself, and who looked.",
        Permission.SEE_UNITS: "See units as wholes, never cells of fewer than five.",
        Permission.SEE_EFFECTS: "See what help did: estimates over all, never of a person.",
        Permission.SEE_RECOMMENDATIONS: "See what is offered to a person, why, and who decides.",
        Permission.SEE_ASSESSMENT: "See the three-dimension report, points and warnings of persons in one's scope.",
        Permission.SEE_STARS: "See the star wall.",
        Permission.ASK_WHAT_IF: "Ask how a risk would change if levers were pulled.",
        Permission.SCORE_GIVEN_HISTORIES: "Have histories scored that are sent in the request and not stored.",
        Permission.REVIEW: "Decide on a flag: act, watch, dismiss; say what was right or wrong about a reason.",
        Permission.SEE_MENTORING: "See mentorship proposals and pairs.",
        Permission.DECIDE_MENTORING: "Propose, offer, accept, refuse and end mentorships.",
        Permission.SEE_REST_PLANS: "See rest plans.",
        Permission.DECIDE_REST_PLANS: "Make, change and confirm rest plans.",
        Permission.OBJECT: "Contest a record or a score of one's own.",
        Permission.ASK_FOR_HELP: "Ask for help for oneself, whatever a model says.",
        Permission.CONSENT: "Give or withdraw consent to one's own health data.",
        Permission.DECIDE_OBJECTIONS: "Decide objections that one did not review first.",
        Permission.PUBLISH: "Publish a month's list.",
        Permission.SEE_MODELS: "See model versions, their figures and history.",
        Permission.PROMOTE: "Promote a version through the gate, or roll back.",
        Permission.SEE_MONITOR: "See drift, holes and performance.",
        Permission.SEE_DATA: "See what arrived and what is in quarantine.",
        Permission.UPLOAD: "Upload a history export.",
        Permission.SEE_AUDIT: "Read and verify the log.",
        Permission.MANAGE_ACCOUNTS: "Add and close accounts and tokens.",
    }
)

_P = Permission
PERMISSIONS_OF: MappingProxyType[Role, frozenset[Permission]] = MappingProxyType(
    {
        Role.OFFICER: frozenset(
            {_P.OPEN, _P.SEE_OWN_RECORD, _P.SEE_STARS, _P.OBJECT, _P.ASK_FOR_HELP, _P.CONSENT}
        ),
        Role.WELLNESS: frozenset(
            {_P.OPEN, _P.SEE_LISTS, _P.SEE_PERSON, _P.SEE_UNITS, _P.SEE_EFFECTS, _P.SEE_RECOMMENDATIONS,
             _P.ASK_WHAT_IF, _P.REVIEW, _P.SEE_REST_PLANS, _P.DECIDE_REST_PLANS, _P.SEE_MENTORING,
             _P.DECIDE_OBJECTIONS, _P.PUBLISH, _P.SEE_MONITOR, _P.SEE_STARS}
        ),
        Role.HR: frozenset(
            {_P.OPEN, _P.SEE_LISTS, _P.SEE_PERSON, _P.SEE_UNITS, _P.SEE_EFFECTS, _P.SEE_RECOMMENDATIONS,
             _P.REVIEW, _P.SEE_ASSESSMENT, _P.SEE_STARS, _P.SEE_MENTORING, _P.DECIDE_MENTORING, _P.SEE_REST_PLANS,
             _P.DECIDE_OBJECTIONS, _P.PUBLISH}
        ),
        Role.COMMANDER: frozenset(
            {_P.OPEN, _P.SEE_LISTS, _P.SEE_PERSON, _P.SEE_UNITS, _P.SEE_EFFECTS, _P.SEE_RECOMMENDATIONS,
             _P.ASK_WHAT_IF, _P.SEE_ASSESSMENT, _P.SEE_STARS, _P.SEE_MENTORING, _P.SEE_REST_PLANS}
        ),
        Role.DATA_SCIENTIST: frozenset(
            {_P.OPEN, _P.SEE_LISTS, _P.SEE_PERSON, _P.SCORE_GIVEN_HISTORIES, _P.SEE_MODELS, _P.PROMOTE,
             _P.SEE_MONITOR, _P.SEE_DATA, _P.SEE_EFFECTS}
        ),
        Role.AUDITOR: frozenset({_P.OPEN, _P.SEE_AUDIT, _P.SEE_MODELS, _P.SEE_MONITOR}),
        Role.ADMIN: frozenset({_P.OPEN, _P.MANAGE_ACCOUNTS, _P.SEE_DATA, _P.UPLOAD}),
    }
)  # fmt: skip
"""Role -> what it may do. A test compares it with a literal, cell by cell."""


class Field(StrEnum):
    """What there is to see of a person, in parts that are shown or hidden as wholes."""

    OFFICER_ID = "officer_id"
    PSEUDONYM = "pseudonym"
    PLACE = "post_and_unit"
    SCORE = "probability_and_rank"
    REASONS = "reasons"
    HEALTH = "health_reasons_and_history"
    HISTORY = "history"
    OFFERS = "recommendations"
    REVIEWS = "reviews"


_F = Field
_ALL = frozenset(Field) - {Field.PSEUDONYM}
MAY_SEE: MappingProxyType[Role, MappingProxyType[str, frozenset[Field]]] = MappingProxyType(
    {
        Role.OFFICER: MappingProxyType({"wellness": _ALL, "development": _ALL}),
        Role.WELLNESS: MappingProxyType({"wellness": _ALL, "development": _ALL - {_F.HEALTH}}),
        Role.HR: MappingProxyType({"wellness": frozenset(), "development": _ALL - {_F.HEALTH}}),
        Role.COMMANDER: MappingProxyType({"wellness": frozenset(), "development": _ALL - {_F.HEALTH, _F.REVIEWS}}),
        Role.DATA_SCIENTIST: MappingProxyType(
            {
                "wellness": frozenset({_F.PSEUDONYM, _F.SCORE, _F.REASONS, _F.HEALTH, _F.HISTORY}),
                "development": frozenset({_F.PSEUDONYM, _F.SCORE, _F.REASONS, _F.HISTORY}),
            }
        ),
        Role.AUDITOR: MappingProxyType({"wellness": frozenset(), "development": frozenset()}),
        Role.ADMIN: MappingProxyType({"wellness": frozenset(), "development": frozenset()}),
    }
)
"""Role -> purpose of a risk -> the fields of a person that it may see. Empty: it may not know that there is a list."""


FIELD_NEEDS: MappingProxyType[Field, Permission] = MappingProxyType({Field.OFFERS: Permission.SEE_RECOMMENDATIONS})
"""A field that has a permission of its own: a token without it does not meet the field in other answers either."""


class Reach(StrEnum):
    """Whose records a role sees."""

    FORCE = "force"
    UNITS = "own units"
    SELF = "self"
    NOBODY = "nobody"


SCOPE_OF: MappingProxyType[Role, Reach] = MappingProxyType(
    {
        Role.OFFICER: Reach.SELF,
        Role.WELLNESS: Reach.FORCE,
        Role.HR: Reach.FORCE,
        Role.COMMANDER: Reach.UNITS,
        Role.DATA_SCIENTIST: Reach.FORCE,
        Role.AUDITOR: Reach.NOBODY,
        Role.ADMIN: Reach.NOBODY,
    }
)
