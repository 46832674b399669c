"""Errors that a user can mend: shown as one line, never as a traceback."""


class UserError(Exception):
    """A wrong input. The message names the file or field, the rule and the value."""


class ParamsError(UserError):
    """All that is wrong with a params file, one problem a line."""

    def __init__(self, source: str, problems: list[str]):
        self.problems = problems
        super().__init__(f"{source}: {len(problems)} problem(s)\n" + "\n".join(f"  {p}" for p in problems))
