"""Errors with a meaning for the caller, each with the exit code of the command line.

Their message is one sentence for a person: what is wrong and what to do about it. The command
line prints the message alone; anything that is not a `PacelineError` is a fault of the program.
"""


def in_short(error: Exception) -> str:
    """What may be kept and sent away of an error: all of ours, and the kind of any other.

    What others than paceline say may quote values, which are personal.
    """
    return str(error) if isinstance(error, PacelineError) else type(error).__name__


class PacelineError(Exception):
    """The run failed, or a difference was found (exit code 1)."""

    exit_code = 1


class UsageError(PacelineError):
    """The arguments, the settings or the input cannot be used as given (exit code 2)."""

    exit_code = 2


class RejectedError(PacelineError):
    """The audit rejected a batch, so nothing of it was published (exit code 3)."""

    exit_code = 3


class LockedError(PacelineError):
    """Another run holds the warehouse (exit code 4)."""

    exit_code = 4
