"""A home in which every role finds work: an assessment, a monitor's run, offers, versions of a model, accounts."""

import json
import subprocess
import sys
from pathlib import Path

from features.assessment.assess import assess
from features.histories.store import load_histories
from features.months import month_end, month_text
from serving.access.first import MARK, first_accounts
from serving.access.roles import Role
from serving.assessed.storing import store_assessment
from serving.commands import chosen_models
from serving.database import open_database, transaction
from serving.models.monitor import monitor_into_store
from serving.offers.raising import raise_offers
from tests.model_versions import two_more_versions
from tests.serving_fixtures import last_month
from training.registry.registry import Registry

JINGXING = Path(sys.executable).parent / "jingxing"
OFFICERS = 300
RISK = "burnout"
"""The risk whose model is promoted and rolled back."""


def furnished(home: Path) -> dict[Role, str]:
    """Add to a home with lists what the stories need, and return the first password of an account of each role."""
    given, engine = load_histories(home), open_database(home)
    as_of = last_month(given)
    (home / "var" / MARK).write_text(json.dumps({"officers": len(given.officers)}), encoding="utf-8")
    agreed = [str(officer) for officer in given.officers]  # to the letter to the family
    store_assessment(assess(given, as_of, consents=agreed), engine)
    monitor_into_store(given, chosen_models(Registry(home), given, risk=None), as_of, engine)
    with transaction(engine) as session:
        raise_offers(session, given.profile, month_end(as_of))
    two_more_versions(home, given, RISK)
    made = first_accounts(home, engine)
    engine.dispose()
    return {one.role: one.password for one in made}


def demo_home(home: Path, *, officers: int = OFFICERS) -> Path:
    """Make the demo's home, as a newcomer would, tell what help did, and return it."""
    run(home, "demo", "--officers", str(officers), "--no-serve")
    run(home, "effects", "--as-of", month_text(last_month(load_histories(home))))
    return home


def run(home: Path, *words: str) -> None:
    """Run the program; its refusal ends the run with its message."""
    done = subprocess.run([JINGXING, "--home", home, *words], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"jingxing {' '.join(words)} ended with {done.returncode}:\n{done.stderr}")
