"""The one kind of error that is the user's to mend; every other exception is ours."""

from collections.abc import Sequence

SHOWN = 20


class Refusal(Exception):
    """Something the user gave cannot be used: says what, where, and what to do.

    ``problems`` holds every problem found, so that a file is mended in one go; the message shows
    the first 20. Commands end with exit code 1 on it, the service answers with a 4xx problem.
    """

    def __init__(self, what: str, problems: Sequence[str] = (), *, hint: str = "") -> None:
        self.what = what
        self.problems = tuple(problems)
        self.hint = hint
        super().__init__(self.message())

    exit_code = 1

    def message(self) -> str:
        """Return the text for the user: the headline, the problems (at most 20), the hint."""
        shown = [f"  - {problem}" for problem in self.problems[:SHOWN]]
        if len(self.problems) > SHOWN:
            shown.append(f"  ... and {len(self.problems) - SHOWN} more")
        return "\n".join([self.what, *shown, *([self.hint] if self.hint else [])])


class WrongUsage(Refusal):
    """The command itself was worded wrongly (a month that is none): exit code 2."""

    exit_code = 2
