"""What a caller may do, in words a manager can check. Each route declares one permission next to it.

Nothing is enforced yet: until sign-in exists the service answers on the loopback address only, to
whoever sits at the machine. Roles and their table come with sign-in, in this file.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from fastapi import Depends


class Permission(StrEnum):
    """The permissions; their words are in PERMISSIONS."""

    OPEN = "open"
    SEE_LISTS = "see_risk_lists"
    SEE_PERSON = "see_person"
    SEE_RECOMMENDATIONS = "see_recommendations"
    SEE_ASSESSMENT = "see_assessment"
    SEE_STARS = "see_stars"
    SCORE_GIVEN_HISTORIES = "score_given_histories"


PERMISSIONS: dict[Permission, str] = {
    Permission.OPEN: "Anyone: the notice, the look of the pages, whether the service runs. No personal data.",
    Permission.SEE_LISTS: "See who is on the list of a risk, with probabilities and reasons.",
    Permission.SEE_PERSON: "See one person's risks, reasons and history.",
    Permission.SEE_RECOMMENDATIONS: "See what is offered to a person, why, and who decides.",
    Permission.SEE_ASSESSMENT: "See the three-dimension report, points and warnings of persons in one's scope.",
    Permission.SEE_STARS: "See the star wall.",
    Permission.SCORE_GIVEN_HISTORIES: "Have histories scored that are sent in the request and not stored.",
}


@dataclass(frozen=True)
class Needs:
    """A dependency that says which permission a route needs."""

    permission: Permission

    def __call__(self) -> None:
        """Let the caller pass; sign-in will refuse here."""


def needs(permission: Permission) -> Any:
    """Return the dependency for a route: ``dependencies=[needs(Permission.SEE_LISTS)]``."""
    return Depends(Needs(permission))
