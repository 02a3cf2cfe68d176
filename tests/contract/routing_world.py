"""Configurations of several deployments, and which of them served: for the contract tests of routing."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import httpx

    from tests.conftest import Running


def entry(resource: str, *, model: str = "gpt-4o", deployment: str = "gpt-4o", params: str = "", info: str = "") -> str:
    where = f"api_base: $SIM/{resource}, api_key: sim-key-{resource}"
    return (
        f"  - model_name: {model}\n"
        f"    litellm_params: {{model: azure/{deployment}, {where}{params}}}\n"
        f"    model_info: {{id: {resource}-{deployment}{info}}}\n"
    )


def config(*entries: str, settings: str = "") -> str:
    return "model_list:\n" + "".join(entries) + (f"router_settings: {{{settings}}}\n" if settings else "")


def served_by(answer: httpx.Response) -> str:
    assert answer.status_code == 200, answer.text
    return str(answer.headers["x-spillway-model-id"])


def resources(run: Running) -> list[str]:
    """The resources that were sent something, in order."""
    return [one["path"].split("/")[1] for one in run.sent()]
