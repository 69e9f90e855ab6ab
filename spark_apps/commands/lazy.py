"""A command group whose commands are imported when they are needed, and which turns errors into sentences."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import click


class LazyGroup(click.Group):
    """Commands by the modules that hold them, each under its own name."""

    def __init__(self, *arguments: Any, modules: Mapping[str, str] | None = None, **options: Any) -> None:
        """Names the commands.

        Args:
            arguments: as click.Group takes them.
            modules: for each late command the module with an attribute of its name.
            options: as click.Group takes them.
        """
        super().__init__(*arguments, **options)
        self._modules = dict(modules or {})

    def list_commands(self, context: click.Context) -> list[str]:
        """Returns the commands' names in their own order, which is the order of work."""
        return [*self._modules, *super().list_commands(context)]

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        """Imports a command; None where there is none of that name."""
        if name not in self._modules:
            return super().get_command(context, name)
        command = getattr(import_module(self._modules[name]), name)
        assert isinstance(command, click.Command)
        return command

    def invoke(self, context: click.Context) -> Any:
        """Runs a command; what a user can cause ends in one sentence, and --debug shows the trace of any error."""
        try:
            return super().invoke(context)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except Exception as error:
            from spark_apps.commands.failures import report  # what it imports, a run that ends well need not

            report(error, debug=bool(context.params.get("debug")))
