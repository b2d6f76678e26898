"""What one caller may see: the purpose firewall as conditions of a query. Templates decide nothing."""

import hmac
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, false, true

from serving.access.roles import MAY_SEE, SCOPE_OF, Field, Reach, Role

PSEUDONYM = "P-"


@dataclass(frozen=True)
class Sight:
    """Whose records and which of their fields a caller may see.

    ``units`` are a commander's, ``officer_id`` is an officer's own; ``salt`` makes the pseudonyms of this home.
    """

    role: Role
    units: tuple[str, ...] = ()
    officer_id: str | None = None
    salt: str = ""
    hidden: frozenset[Field] = frozenset()
    """Fields that the role may see and this caller's token may not."""

    @property
    def purposes(self) -> tuple[str, ...]:
        """The purposes of which the caller may see any field of a person."""
        return tuple(purpose for purpose, fields in MAY_SEE[self.role].items() if fields)

    def fields(self, purpose: str) -> frozenset[Field]:
        """Return the fields that may be seen for a purpose; an unknown purpose shows nothing."""
        return MAY_SEE[self.role].get(purpose, frozenset()) - self.hidden

    def lists(self, purpose_column: Any) -> ColumnElement[bool]:
        """Return the condition for lists whose purpose the caller may know of."""
        condition: ColumnElement[bool] = purpose_column.in_(self.purposes)
        return condition

    def persons(self, *, officer: Any, unit: Any) -> ColumnElement[bool]:
        """Return the condition for persons within the caller's reach, over two columns."""
        reach = SCOPE_OF[self.role]
        if reach is Reach.FORCE:
            return true()
        if reach is Reach.UNITS:
            mine: ColumnElement[bool] = unit.in_(self.units)
            return mine
        if reach is Reach.SELF and self.officer_id:
            own: ColumnElement[bool] = officer == self.officer_id
            return own
        return false()

    def units_seen(self, unit: Any) -> ColumnElement[bool]:
        """Return the condition for units as wholes within the caller's reach, over a column."""
        reach = SCOPE_OF[self.role]
        if reach is Reach.FORCE:
            return true()
        mine: ColumnElement[bool] = unit.in_(self.units if reach is Reach.UNITS else ())
        return mine

    @property
    def whole_force(self) -> bool:
        """Whether the caller's reach is everyone."""
        return SCOPE_OF[self.role] is Reach.FORCE

    @property
    def pseudonymous(self) -> bool:
        """Whether the caller knows persons by pseudonym only."""
        return not any(Field.OFFICER_ID in MAY_SEE[self.role][purpose] for purpose in self.purposes)

    def shown_id(self, officer_id: str, purpose: str) -> str:
        """Return the number, or this home's pseudonym of it where the caller may not see the number."""
        return officer_id if Field.OFFICER_ID in self.fields(purpose) else self.pseudonym(officer_id)

    def pseudonym(self, officer_id: str) -> str:
        """Return a pseudonym that can't be turned back without this home's secret."""
        return PSEUDONYM + hmac.digest(self.salt.encode(), officer_id.encode(), "sha256").hex()[:12]


WHOLE = Sight(Role.WELLNESS)
"""What the program itself reads, at the command line: whoever may open the home may read all of it."""
