"""What starting loads: help nothing but click, the server nothing that models or draws until it is asked to."""

import subprocess
import sys

import pytest

from features.late import Late

HEAVY = ("lightgbm", "sklearn", "mlflow", "altair", "vl_convert", "ortools", "openpyxl", "scipy.stats",
         "scipy.optimize", "optuna", "econml")  # fmt: skip


def _loaded(code: str) -> set[str]:
    told = subprocess.run(
        [sys.executable, "-c", f"import sys\n{code}\nprint('\\n'.join(sys.modules))"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return set(told.stdout.split())


def test_the_server_starts_without_what_models_and_draws():
    loaded = _loaded("import serving.running")
    assert "serving.app" in loaded
    assert [name for name in HEAVY if name in loaded] == []


def test_help_loads_no_numbers_and_no_web():
    loaded = _loaded("from click.testing import CliRunner; from serving.cli import main\n"
                     "assert 'monitor' in CliRunner().invoke(main, ['--help']).output")  # fmt: skip
    assert loaded.isdisjoint({"numpy", "pandas", "fastapi", "sqlalchemy", "pydantic", "serving.app"})


def test_a_late_library_is_loaded_when_something_of_it_is_asked_for():
    loaded = _loaded("from features.late import Late\nlate = Late('colorsys')\nassert 'colorsys' not in sys.modules\n"
                     "late.rgb_to_hsv")  # fmt: skip
    assert "colorsys" in loaded
    maths = Late("math")
    assert maths.floor is maths.floor
    with pytest.raises(AttributeError):
        _ = maths.nothing_of_this_name
    with pytest.raises(ModuleNotFoundError):
        _ = Late("no_such_library").anything
