"""How a backtest is told: a table month by month, sentences, JSON, a file. Nothing is computed here."""

from pathlib import Path
from typing import Any

import pandas as pd
from rich import box
from rich.console import Console as Terminal
from rich.table import Table

from features.errors import WrongUsage
from features.months import month_text
from training.judging.backtest import Backtest
from training.judging.followed import Followed, plain

WIDTH = 110
COLUMNS = ("precision", "recall", "new")


def as_json(found: Backtest) -> dict[str, Any]:
    """Return a backtest as plain values: the figures of model and rule, and every month."""
    return {
        "risk": found.risk,
        "from": month_text(found.months[0]),
        "to": month_text(found.months[-1]),
        "version": found.version,
        "horizon_months": found.horizon_months,
        "flag_expires_months": found.expires_months,
        "mature_months": sum(found.mature),
        "model": found.model.as_json(),
        "rule": found.rule.as_json(),
        "months": month_rows(found),
    }


def month_rows(found: Backtest) -> list[dict[str, Any]]:
    """Return one row a month; None where a figure is not known (yet)."""
    rows = []
    for place, month in enumerate(found.months):
        mine, rule = found.model.months[place], found.rule.months[place]
        rows.append(
            {
                "as_of": month_text(month),
                "learned_until": month_text(found.learned[place]),
                "mature": found.mature[place],
                "list": round(mine.length),
                "unranked": found.unranked[place],
                "known": plain(mine.known),
                "hits": plain(mine.hits),
                **{name: plain(getattr(mine, name)) for name in COLUMNS},
                "rule_hits": plain(rule.hits),
                **{f"rule_{name}": plain(getattr(rule, name)) for name in COLUMNS},
            }
        )
    return rows


def write_months(found: Backtest, path: Path) -> None:
    """Write the table month by month, as CSV or Parquet by the file's ending."""
    table = pd.DataFrame(month_rows(found))
    if path.suffix not in (".csv", ".parquet"):
        raise WrongUsage(f"{path.name} is neither .csv nor .parquet.", hint="Name the file months.csv, for example.")
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".csv":
        table.to_csv(path, index=False)
    else:
        table.to_parquet(path, index=False)


def text(found: Backtest) -> str:
    """Return the backtest as it is printed."""
    terminal = Terminal(width=WIDTH, force_terminal=False, color_system=None)
    with terminal.capture() as capture:
        terminal.print(_months(found))
        terminal.print(_summary(found))
    return "\n".join([*_head(found), capture.get().rstrip(), *_notes(found)])


def _head(found: Backtest) -> list[str]:
    how = f"version {found.version}" if found.version else "models trained on what was known then"
    mature = sum(found.mature)
    told = [
        f"{found.risk}: lists of {month_text(found.months[0])} to {month_text(found.months[-1])}, {how}; "
        f"outcome within {found.horizon_months} months, by labels known today"
    ]
    if mature < len(found.months):
        told.append(
            f"  {len(found.months) - mature} of {len(found.months)} months are immature: their horizon is not over, "
            "a flag without the outcome is not a miss yet; no rate counts them"
        )
    return told


def _months(found: Backtest) -> Table:
    table = Table(box=box.SIMPLE, caption="new: share of the list that was not on it a month before")
    for name in ("as-of", "learned to", "list", "hits", "precision", "recall", "new", "rule: hits", "precision", "new"):
        table.add_column(name, justify="left" if name in ("as-of", "learned to") else "right", no_wrap=True)
    for row in month_rows(found):
        state = row["as_of"] if row["mature"] else f"{row['as_of']} …"
        table.add_row(
            state,
            row["learned_until"],
            str(row["list"]),
            _number(row["hits"]),
            *(_percent(row[name]) for name in COLUMNS),
            _number(row["rule_hits"]),
            _percent(row["rule_precision"]),
            _percent(row["rule_new"]),
        )
    return table


def _summary(found: Backtest) -> Table:
    table = Table(box=box.SIMPLE)
    for name in ("", "model", "rule, same length"):
        table.add_column(name, justify="left" if not name else "right", no_wrap=True)
    rows = [_figures(each) for each in (found.model, found.rule)]
    for label in rows[0]:
        table.add_row(label, rows[0][label], rows[1][label])
    return table


def _figures(each: Followed) -> dict[str, str]:
    told = each.as_json()
    expired = f"{_number(told['expired_without_outcome'])} of {_number(told['expired'])}"
    return {
        "precision, mean of months": _percent(told["precision"]),
        "recall, mean of months": _percent(told["recall"]),
        "flags per true positive": _number(told["flags_per_true_positive"]),
        "churn: new each month": _percent(told["churn"]),
        "spells of flags, with the outcome": f"{_number(told['spells'])}, {_number(told['spells_with_outcome'])}",
        "lead time in months: median, mean": f"{_number(told['lead_months_median'])}, "
        f"{_number(told['lead_months_mean'])}",
        "expired without the outcome": f"{expired} ({_percent(told['expired_without_outcome_share'])})",
        "  of these with the outcome later": _number(told["outcome_after_expiry"]),
    }


def _notes(found: Backtest) -> list[str]:
    leads = ", ".join(f"{lead}: {_number(count)}" for lead, count in found.model.leads)
    return [
        f"  months from a spell's first flag to the outcome (model): {leads or 'none'}",
        f"  a flag that is not renewed within {found.expires_months} months expires",
        f"  insufficient evidence: {sum(found.unranked):,} persons in all months; on no list, the "
        "rule's neither, as when the model serves",
    ]


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}"


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.1f}"
