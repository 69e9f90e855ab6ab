"""How a command ends when it fails."""

from __future__ import annotations

import sys
import traceback
from typing import NoReturn

import click
from pydantic_settings import SettingsError

from spark_apps.errors import UserError, from_engine_error, from_os_error, is_engine_error

EXIT_FAULT = 1
EXIT_USER_ERROR = 2
EXIT_NOT_PROMOTED = 3  # `train` did its work, and the promotion policy refused the outcome


def report(error: Exception, debug: bool) -> NoReturn:
    """Tells what went wrong and ends the process: exit code 2 for a user's mistake, 1 for a fault of the program."""
    if debug:
        traceback.print_exc()
    known = _user_error(error)
    if known is not None:
        for line in known.details:
            click.echo(line, err=True)
        click.secho(f"Error: {known}", fg="red", err=True)
        sys.exit(EXIT_USER_ERROR)
    first_line = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    click.secho(f"Fault in shopstream: {type(error).__name__}: {first_line[:300]}", fg="red", err=True)
    click.echo("Run it again as `shopstream --debug ...` and report what it prints.", err=True)
    sys.exit(EXIT_FAULT)


def _user_error(error: Exception) -> UserError | None:
    if isinstance(error, UserError):
        return error
    if isinstance(error, SettingsError):
        return UserError(f"A setting cannot be read: {error}; give it as JSON.")
    if isinstance(error, OSError):
        return from_os_error(error, error.filename or "the root")
    if is_engine_error(error):
        return from_engine_error(str(error), "the root")
    return None
