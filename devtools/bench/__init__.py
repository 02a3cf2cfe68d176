"""Measurements, one script each; figures go where they are asked for, never into a timed test."""

from __future__ import annotations

import importlib
from typing import Any

import click

BENCHES: dict[str, tuple[str, dict[str, Any]]] = {
    "speed": ("devtools.bench.speed.main", {"write": True}),
    "growth": ("devtools.bench.growth.main", {}),
    "soak": ("devtools.bench.soak", {}),
    "coldstart": ("devtools.bench.coldstart", {}),
    "runtime": ("devtools.bench.runtime", {}),
    "transport": ("devtools.bench.transport", {}),
    "writes": ("devtools.bench.writes", {}),
    "streams": ("devtools.bench.streams", {}),
    "speech": ("devtools.bench.speech", {}),
    "files": ("devtools.bench.files", {}),
    "batches": ("devtools.bench.batches", {}),
    "choosing": ("devtools.bench.choosing", {}),
    "sharing": ("devtools.bench.sharing", {}),
    "killed": ("devtools.bench.killed", {}),
    "routing": ("devtools.bench.routing", {"percent": (90, 150)}),
    "reports": ("devtools.bench.reports", {}),
    "budgets": ("devtools.bench.budgets", {}),
    "ledger": ("devtools.bench.ledger", {}),
    "audit": ("devtools.bench.audit", {}),
}
"""Each bench: the module whose `main` it is, and what it is called with when all are run, in this order."""


def _command(name: str) -> click.Command:
    command = importlib.import_module(BENCHES[name][0]).main
    assert isinstance(command, click.Command)
    return command


class Benches(click.Group):
    """A group that imports a bench when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(BENCHES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return _command(cmd_name) if cmd_name in BENCHES else None


@click.group(cls=Benches, invoke_without_command=True)
@click.pass_context
def main(context: click.Context) -> None:
    """Measure Spillway on this machine; without a command, everything."""
    if context.invoked_subcommand is None:
        for name, (_, arguments) in BENCHES.items():
            context.invoke(_command(name), **arguments)
