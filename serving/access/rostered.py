"""Whether the roster knows the units and the officer that an account is to be bound to."""

from collections.abc import Sequence
from pathlib import Path

from features.errors import Refusal
from features.histories.store import load_roster


def check_rostered(home: Path, units: Sequence[str], officer_id: str | None) -> None:
    """Raise a Refusal where a home has a roster and it never named a unit or the officer: nobody would be seen."""
    if not (units or officer_id) or not (home / "var" / "histories" / "current.json").exists():
        return
    roster = load_roster(home)
    unknown = sorted(set(units) - set(roster.units))
    if unknown:
        raise Refusal(
            "The roster has no such unit. 花名册中没有这个单位。",
            unknown,
            hint="Write it as the roster does; a new unit comes with the next export. 请按花名册填写。",
        )
    if officer_id and officer_id not in roster.officers:
        raise Refusal(
            f"The roster has no officer '{officer_id}'. 花名册中没有这个编号。",
            hint="Write the number as the roster does. 请按花名册填写。",
        )
