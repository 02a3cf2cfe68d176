"""Measurements, one script each; figures go where they are asked for, never into a timed test."""

from __future__ import annotations

import click

from devtools.bench import streams, transport


@click.group()
def main() -> None:
    """Measure Spillway on this machine."""


main.add_command(transport.main, "transport")
main.add_command(streams.main, "streams")
