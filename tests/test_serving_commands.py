"""The program's door: quick help, loopback only, a demo that leaves real stores alone."""

import importlib
import json
import socket
import subprocess
import sys

import pytest
from click.testing import CliRunner

from features.console import Console
from features.errors import Refusal
from serving.cli import COMMANDS, main
from serving.demo import demo_home, start_afresh
from serving.running import bind


def test_help_lists_every_command_and_loads_no_heavy_library():
    program = (
        "import sys\n"
        "from serving.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "print(sorted({'pandas', 'mlflow', 'numpy', 'fastapi', 'lightgbm'} & set(sys.modules)))"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout.strip().endswith("[]")
    for name, (_, _, line) in COMMANDS.items():
        assert f"{name} " in answer.stdout
        assert line.split()[0] in answer.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_of_the_table_exists_and_takes_home_and_json(name):
    module, attribute, _ = COMMANDS[name]
    command = getattr(importlib.import_module(module), attribute)
    assert command.name == name
    assert {"home", "as_json"} <= {parameter.name for parameter in command.params}


def test_an_unknown_command_is_wrong_usage():
    assert CliRunner().invoke(main, ["unheard-of"]).exit_code == 2


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.7", "::", "example.org", ""])
def test_without_tls_or_a_proxy_only_loopback_addresses_are_bound(host, tmp_path):
    answer = CliRunner().invoke(main, ["--home", str(tmp_path), "serve", "--host", host])
    assert answer.exit_code == 1
    assert "without TLS" in answer.stderr
    assert "127.0.0.1" in answer.stderr


def test_a_taken_port_is_refused_with_the_option_to_use():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(Refusal, match=f"--port {port + 1}"):
            bind("127.0.0.1", port)


def test_the_demo_works_apart_from_a_real_home(tmp_path):
    assert demo_home(tmp_path, asked=False) == tmp_path / "var" / "demo"
    assert demo_home(tmp_path, asked=True) == tmp_path


def test_the_demo_leaves_a_real_store_alone(tmp_path):
    (tmp_path / "var" / "histories").mkdir(parents=True)
    answer = CliRunner().invoke(main, ["--home", str(tmp_path), "demo", "--no-serve"])
    assert answer.exit_code == 1
    assert "not the demo's" in answer.stderr
    assert (tmp_path / "var" / "histories").is_dir()


def test_a_second_demo_starts_afresh(tmp_path):
    start_afresh(tmp_path, {"officers": 100})
    (tmp_path / "var" / "histories").mkdir()
    (tmp_path / "mlruns").mkdir()
    start_afresh(tmp_path, {"officers": 200})
    assert not (tmp_path / "var" / "histories").exists()
    assert not (tmp_path / "mlruns").exists()
    assert json.loads((tmp_path / "var" / "demo.json").read_text()) == {"officers": 200}


def test_a_console_under_json_says_nothing_but_the_object(tmp_path, capsys):
    Console(home=tmp_path, json=True).say("prose")
    assert capsys.readouterr().out == ""
