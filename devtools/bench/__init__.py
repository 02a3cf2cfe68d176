"""Measurements, one script each; figures go where they are asked for, never into a timed test."""

from __future__ import annotations

import click

from devtools.bench import choosing, coldstart, routing, speech, streams, transport


@click.group(invoke_without_command=True)
@click.pass_context
def main(context: click.Context) -> None:
    """Measure Spillway on this machine; without a command, everything."""
    if context.invoked_subcommand is None:
        context.invoke(coldstart.main)
        context.invoke(transport.main)
        context.invoke(streams.main)
        context.invoke(speech.main)
        context.invoke(choosing.main)
        context.invoke(routing.main, percent=(90, 150))


main.add_command(coldstart.main, "coldstart")
main.add_command(transport.main, "transport")
main.add_command(streams.main, "streams")
main.add_command(speech.main, "speech")
main.add_command(routing.main, "routing")
main.add_command(choosing.main, "choosing")
