"""`python -m devtools doctor`: what `GET /health/doctor` finds, on this machine, with its own identity."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from shared import gateway
from shared.admin.findings import Finding, by_severity, report
from shared.errors import ConfigError

MARKS = {"error": ("ERROR", "red"), "warning": ("WARNING", "yellow"), "ok": ("ok", "green")}
WIDTH = 100
UNUSED_KEY = "sk-doctor"
"""The examination serves nobody, so it needs no key of its own."""


@click.command()
@click.option("--config", type=click.Path(path_type=Path, exists=True), help="Configuration; else SPILLWAY_CONFIG.")
@click.option("--json", "as_json", is_flag=True, help="The report of GET /health/doctor instead of a table.")
def main(config: Path | None, as_json: bool) -> None:
    """Hold a configuration against reality, and say what to do. Exit code 1 when something does not work."""
    environ = {"SPILLWAY_MASTER_KEY": UNUSED_KEY, **os.environ}
    if config is not None:
        environ["SPILLWAY_CONFIG"] = str(config)
    log = logging.getLogger("spillway")
    level = log.level
    log.setLevel(logging.CRITICAL)  # the findings say it
    try:
        findings = examined(environ)
    finally:
        log.setLevel(level)
    if as_json:
        click.echo(json.dumps(report(findings), indent=2))
    else:
        show(findings)
    sys.exit(any(one.severity == "error" for one in findings))


def examined(environ: Mapping[str, str]) -> list[Finding]:
    """The findings under this environment; a configuration that cannot be read is one for each of its problems."""
    try:
        plan = gateway.read_plan(environ)
    except ConfigError as error:
        return [
            Finding("configuration", "error", "configuration", problem, "See docs/configuration.md.")
            for problem in error.problems
        ]
    return asyncio.run(_examined(plan))


async def _examined(plan: gateway.Plan) -> list[Finding]:
    running = gateway.Gateway(plan)
    try:
        return await running.doctor.examine()
    finally:
        await running.close()


def show(findings: Sequence[Finding]) -> None:
    """A table, the worst first: the severity, what was looked at, whom it is about and what was found; then, indented,
    what to do. What is in order takes one line."""
    checks = max((len(one.check) for one in findings), default=0)
    indent = " " * (9 + checks + 2)
    for one in by_severity(findings):
        word, colour = MARKS[one.severity]
        mark = click.style(f"{word:<9}", fg=colour, bold=one.severity == "error")
        if one.severity == "ok":
            click.echo(f"{mark}{one.check:<{checks}}  {one.subject}: {one.found}")
            continue
        click.echo(f"{mark}{one.check:<{checks}}  {one.subject}")
        for text, before in ((one.found, ""), (one.todo, "→ ")):
            if text:
                click.echo(click.wrap_text(before + text, WIDTH, indent, indent + " " * len(before)))
    told = report(findings)
    good = len(findings) - told["errors"] - told["warnings"]
    click.echo(f"\n{told['errors']} errors, {told['warnings']} warnings, {good} in order")
