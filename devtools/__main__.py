"""`python -m devtools COMMAND`: each command's module is imported only when it is used."""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path

import click

# Command: the module that has it, the name in that module, its line in `--help`.
COMMANDS = {
    "up": ("devtools.up", "main", "Run storage, simulator and host together; one Ctrl-C ends them."),
    "host": ("devtools.host.cli", "main", "Serve function_app.py as Azure Functions would."),
    "storage": ("devtools.storage", "main", "Run Azurite, the storage emulator."),
    "doctor": ("devtools.doctor", "main", "Hold a configuration against reality, and say what to do."),
    "bench": ("devtools.bench", "main", "Measure Spillway on this machine."),
}


class Commands(click.Group):
    """A click group that imports a command when it is called, and lists only those that are there."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*super().list_commands(ctx), *(name for name in COMMANDS if _exists(COMMANDS[name][0]))])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS or not _exists(COMMANDS[cmd_name][0]):
            return super().get_command(ctx, cmd_name)
        module, attribute, _ = COMMANDS[cmd_name]
        command = getattr(importlib.import_module(module), attribute)
        return command if isinstance(command, click.Command) else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, self._help(ctx, name)) for name in self.list_commands(ctx)])

    def _help(self, ctx: click.Context, name: str) -> str:
        """A line that needs no import of the command's module."""
        eager = super().get_command(ctx, name)
        return COMMANDS[name][2] if eager is None else eager.get_short_help_str(limit=100)


def _exists(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """What a developer runs and Azure never sees."""


@main.command()
@click.option("--port", default=9100, show_default=True, help="Port to listen on; 0 chooses a free one.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--settings", type=click.Path(path_type=Path, exists=True), help="YAML with other resources and limits.")
@click.option("--seed", default=0, show_default=True, help="Seed of everything that is random.")
def simulator(port: int, host: str, settings: Path | None, seed: int) -> None:
    """Run the Azure OpenAI simulator."""
    from devtools.simulator import run

    run(port=port, host=host, settings=settings, seed=seed)


if __name__ == "__main__":
    main(prog_name="python -m devtools")
