"""Batches at large: one of many requests over three deployments with quotas, the same under SIGKILL; eight over two.

The ledger and the bill of the simulated Azure are held against each other request by request, in their sums, and beside
what callers were told.
"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from devtools.audit import batches
from devtools.audit.batches import Figures

THREE = {"east": 0.12, "west": 0.08, "sweden": 0.05}
"""Quotas, as shares of the batch's tokens: together they take a quarter of it at once."""
TWO = {"east": 0.0, "west": 0.0}
EIGHT = 8
MEMORY_MB_MAX = 300.0
USD = 10**12


@click.command()
@click.option("--lines", default=250_000, show_default=True, help="Requests of the batch.")
@click.option("--kill", is_flag=True, help="Kill the hosts in turn while it runs: two, each with its timer.")
@click.option("--kill-s", default=3.0, show_default=True, help="Seconds between two kills.")
@click.option("--eight-lines", default=1000, show_default=True, help="Requests of each of the eight batches; 0: none.")
@click.option("--log", type=click.Path(path_type=Path), help="A file for what the hosts have to say.")
def main(lines: int, kill: bool, kill_s: float, eight_lines: int, log: Path | None) -> None:
    """Every request has one result, and every one that ran is in the ledger as it is in the bill."""
    hosts = 2 if kill else 1
    figures = batches.run([lines], THREE, host_count=hosts, kill_s=kill_s if kill else 0.0, log=log)
    wrong = _say(f"{lines:,} requests over {len(THREE)} deployments" + (", hosts killed" if kill else ""), figures)
    if eight_lines and not kill:
        figures = batches.run([eight_lines] * EIGHT, TWO, log=log)
        wrong += _say(f"{EIGHT} batches of {eight_lines:,} requests over {len(TWO)} deployments", figures)
    sys.exit(1 if wrong else 0)


def _say(what: str, figures: Figures) -> int:
    """Prints the figures; how much is wrong."""
    books, wrong = figures.books, list(figures.wrong)
    if figures.peak_mb > MEMORY_MB_MAX:
        wrong.append(f"a host took {figures.peak_mb:.0f} MB of memory")
    for name in ("missing", "duplicates"):
        if figures.sum(name):
            wrong.append(f"{figures.sum(name)} {name}")
    if figures.left:
        wrong.append(f"{figures.left} files are left at the resources")
    shards = ", ".join(f"{count} {name}" for name, count in sorted(figures.by_resource.items()))
    rows = (
        ("time", f"{figures.seconds:.0f} s (upload {figures.upload_s:.1f} s, download {figures.download_s:.1f} s)"),
        ("hosts killed", figures.kills),
        ("peak memory of a host", f"{figures.peak_mb:.0f} MB"),
        ("batches completed", f"{figures.completed} of {len(figures.results)}"),
        ("shards", f"{sum(figures.by_resource.values())} ({shards})"),
        ("lines in output files", f"{figures.sum('answers'):,}"),
        ("lines in error files", f"{figures.sum('errors'):,}"),
        ("missing", figures.sum("missing")),
        ("duplicates", figures.sum("duplicates")),
        ("ledger", f"{books.entries:,} entries, {books.entered / USD:.12f} USD; {books.failed:,} failed, 0 USD"),
        ("bill", f"{books.lines:,} lines, {books.billed / USD:.12f} USD"),
        ("totals of the ledger", f"{figures.totals[0]:,} attempts, {figures.totals[1] / USD:.12f} USD"),
        ("files left at resources", figures.left),
    )
    print(what)
    for name, value in rows:
        print(f"  {name:<26}{value}")
    print(f"  {len(wrong)} disagreements")
    for one in wrong[:20]:
        print(f"    {one}")
    sys.stdout.flush()
    return len(wrong)


if __name__ == "__main__":
    main()
