"""The one program. A table of commands, each loaded only when it is called: ``jingxing --help`` is quick."""

import gc
import importlib
import os
from pathlib import Path

import click

# Waiting threads sleep instead of spinning: on a busy machine training is many times faster. Read when OpenMP loads.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

COMMANDS: dict[str, tuple[str, str, str]] = {
    "demo": ("serving.demo", "demo", "The main job from nothing, on a simulated force."),
    "simulate": ("features.commands", "simulate", "Write the histories of a simulated force."),
    "ingest": ("features.commands", "ingest", "Check and store a history export."),
    "quarantine": ("features.commands", "quarantine", "List the rows that were not taken in, and why."),
    "features": ("features.commands", "features", "Write the feature rows of one or more months."),
    "labels": ("features.commands", "labels", "Write the outcomes of one or more months."),
    "train": ("training.commands", "train", "Fit, judge and register the model of a risk."),
    "models": ("training.commands", "models", "List the model versions, or what served on a day."),
    "promote": ("training.registry.commands", "promote", "Make a version champion, through the gate."),
    "rollback": ("training.registry.commands", "rollback", "Let the champion before the present one serve again."),
    "verify": ("serving.models.verify_commands", "verify", "Check that registry and log are as written."),
    "impact": ("training.registry.commands", "impact", "List, draft, sign or withdraw impact assessments."),
    "backtest": ("training.commands", "backtest", "Say what past lists would have been, and what came of them."),
    "score": ("serving.commands", "score", "Score and explain the whole cohort of a month."),
    "explain": ("serving.commands", "explain", "Say one person's reasons in words and numbers."),
    "replay": (
        "serving.months.replay_commands",
        "replay_command",
        "Rebuild a past list; split a change into its causes.",
    ),
    "month": ("serving.months.month_commands", "month", "The monthly run; lists are drafts until published."),
    "monitor": ("serving.models.monitor_commands", "monitor", "Watch for drift, holes, and lists gone wrong."),
    "assess": ("serving.assessed.commands", "assess_command", "Assess a month: report, points, warnings, stars."),
    "rest": ("serving.rest.commands", "rest", "Plan rest over the coming weeks under a quota."),
    "points": ("features.assessment.commands", "points_command", "Say the points balances at any past date."),
    "effects": ("serving.effects.commands", "effects_command", "Say what help did against a comparison, or why not."),
    "match": ("serving.mentoring.commands", "match_command", "Propose mentorships: stars for those warned of decline."),
    "offers": ("serving.offers.commands", "offers_command", "Make offers of a month's recommendations."),
    "ledger": ("serving.offers.commands", "ledger_command", "Bring help that was taken into the histories."),
    "backup": ("serving.backups.commands", "backup_command", "Write all a home holds into one archive, while serving."),
    "restore": ("serving.backups.commands", "restore_command", "Put a backup into a home, all or nothing."),
    "serve": ("serving.running", "serve", "Run the API and the web pages."),
    "user": ("serving.access.commands", "user", "Add, list and close accounts; passwords and API tokens."),
}
"""Name -> (module, attribute, one line of help)."""


class Program(click.Group):
    """A group that imports a command's module when the command is called."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """Return the names in the order of the table."""
        return list(COMMANDS)

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command, or None."""
        if cmd_name not in COMMANDS:
            return None
        module, attribute, _ = COMMANDS[cmd_name]
        gc.disable()  # what is imported stays: looking for garbage meanwhile takes a seventh of the time
        try:
            loaded: click.Command = getattr(importlib.import_module(module), attribute)
        finally:
            gc.freeze()
            gc.enable()
        return loaded

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table without loading a command."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, _, text) in COMMANDS.items()])


@click.command(cls=Program)
@click.option(
    "--home",
    type=click.Path(path_type=Path),
    envvar="JINGXING_HOME",
    default=None,
    help="Where var/ and mlruns/ live (JINGXING_HOME; default: the current folder).",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of prose.")
@click.version_option(package_name="jingxing")
@click.pass_context
def main(context: click.Context, home: Path | None, as_json: bool) -> None:
    """Jingxing 警醒: early warning of decline and burnout; it offers help, never punishes."""
    context.obj = {"home": home, "json": as_json}
