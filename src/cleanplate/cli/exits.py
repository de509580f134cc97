"""The exit codes of every command, and how an error becomes one."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from cleanplate.errors import CleanplateError, ModelError, UsageError

EXIT_DONE, EXIT_SOME_FAILED, EXIT_USAGE, EXIT_INTERRUPTED = 0, 1, 2, 130


def call(command: Callable[[], int]) -> int:
    """Run a command; the package's own errors become a message on standard error and an exit code.

    >>> call(lambda: EXIT_DONE)
    0
    """
    try:
        return command()
    except (UsageError, ModelError) as error:
        return complain(error, EXIT_USAGE)
    except CleanplateError as error:
        return complain(error, EXIT_SOME_FAILED)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:  # whoever read the output (head, a pager) has gone
        forget_output()
        return EXIT_SOME_FAILED


def forget_output() -> None:
    """Send what is still to be written nowhere, so that closing the output fails no more."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, sys.stdout.fileno())
    except (OSError, ValueError):  # an output that is no file
        pass
    finally:
        os.close(nowhere)


def complain(error: CleanplateError, exit_code: int) -> int:
    """Print an error as one line on standard error; returns the exit code."""
    print(f"cleanplate: error: {error}", file=sys.stderr)
    return exit_code
