"""The import of the app in a fresh process: seconds and memory, the first time and once everything is compiled.

`import litellm` is measured beside it where it is installed, by `make bench-peers` or in this environment. `first` has
no compiled module, as a package has on every start that was deployed without valid ones (docs/deploy.md says how ours
has them); `warm` is the best of several runs with them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata

import click

from devtools.bench.processes import ROOT
from devtools.bench.speed.targets import LITELLM

_PROBE = """
import json, sys, time
from pathlib import Path
wall, cpu = time.perf_counter(), time.process_time()
{code}
wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
rss = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS:"))
print(json.dumps([wall, cpu, int(rss.split()[1]) * 1024 / 1e6, len(sys.modules)]))
"""
_CATALOG = """
from shared.catalog import capabilities, prices
wall, cpu = time.perf_counter(), time.process_time()
prices.models(), capabilities.rows()
"""
CASES = {
    "import function_app": "from shared import warmup; warmup.start = lambda plan: None; import function_app",
    "  and what its first call needs": "import function_app, uvicorn; function_app.loading.join()",
    "import azure.functions": "import azure.functions",
    "  and Microsoft's HTTP extension": "import azure.functions, azurefunctions.extensions.http.fastapi",
    "  and Spillway's": "import azure.functions, shared.hosting",
    "import litellm": "import litellm",
}
"""The last but litellm are what the platform asks of any app that streams, with either extension."""
_EXTRA = {
    "import litellm": ("litellm", "make bench-peers"),
    "  and Microsoft's HTTP extension": ("azurefunctions-extensions-http-fastapi", "pip install"),
}
"""What is measured only where a distribution is installed that is no dependency of Spillway, and how it comes here."""
_ENVIRON = {
    "SPILLWAY_CONFIG": "config.yaml",
    "SPILLWAY_MASTER_KEY": "sk-bench",
    "AzureWebJobsStorage": "UseDevelopmentStorage=true",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
}


@dataclass(frozen=True, slots=True)
class Start:
    """One fresh process. `rss_mb` is in MB of 1,000,000 bytes."""

    wall_s: float
    cpu_s: float
    rss_mb: float
    modules: int


@click.command()
@click.option("--runs", default=5, show_default=True, help="Warm runs, the fastest of which counts.")
@click.option("--wall-s-max", default=0.0, help="Fail when the warm import of function_app takes longer.")
@click.option("--rss-mb-max", default=0.0, help="Fail when it takes more memory.")
def main(runs: int, wall_s_max: float, rss_mb_max: float) -> None:
    """The app's import, cold and warm, beside litellm's."""
    print(f"{'':36}{'first':>8}{'its CPU':>9}{'warm':>9}{'its CPU':>9}{'RSS':>9}{'modules':>9}")
    own: Start | None = None
    for name, code in CASES.items():
        python = _python(name)
        if python is None:
            distribution, how = _EXTRA[name]
            print(f"{name:36}{distribution} is not installed here, to compare: {how}")
            continue
        first, warm = measured(code, runs, python)
        own = own or warm
        print(
            f"{name:36}{first.wall_s:6.2f} s{first.cpu_s:7.2f} s{warm.wall_s:7.2f} s{warm.cpu_s:7.2f} s"
            f"{warm.rss_mb:6.0f} MB{warm.modules:9,}"
        )
    catalog = measured(_CATALOG, runs)[1]
    print(f"reading prices and capabilities: {catalog.wall_s * 1000:.1f} ms")
    assert own is not None
    if (wall_s_max and own.wall_s > wall_s_max) or (rss_mb_max and own.rss_mb > rss_mb_max):
        raise SystemExit(1)


def measured(code: str, runs: int, python: str = sys.executable) -> tuple[Start, Start]:
    """The first start, when nothing is compiled, and the fastest of `runs` later ones."""
    with tempfile.TemporaryDirectory() as compiled:
        environ = {**os.environ, **_ENVIRON, "PYTHONPYCACHEPREFIX": compiled}
        environ.pop("PYTHONDONTWRITEBYTECODE", None)  # with it no run would ever be a warm one
        first = _start(code, environ, python)
        warm = [_start(code, environ, python) for _ in range(runs)]
    return first, min(warm, key=lambda one: one.wall_s)


def _python(name: str) -> str | None:
    """The interpreter that has what a case imports; None where there is none."""
    peer = LITELLM.parent / "python"
    if name == "import litellm" and peer.exists():
        return str(peer)
    try:
        metadata.version(_EXTRA.get(name, ("azure-functions", ""))[0])
    except metadata.PackageNotFoundError:
        return None
    return sys.executable


def _start(code: str, environ: Mapping[str, str], python: str) -> Start:
    done = subprocess.run(
        [python, "-c", _PROBE.format(code=code)],
        cwd=ROOT,
        env=environ,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return Start(*json.loads(done.stdout.splitlines()[-1]))
