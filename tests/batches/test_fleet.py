"""Which deployments take batches."""

from __future__ import annotations

from shared import config
from shared.batches.fleet import RouterFleet
from shared.config import Match
from shared.routing.router import Router
from shared.upstream.credentials import api_key
from shared.upstream.deployment import Deployment, deployment_of
from shared.upstream.endpoint import of_entry


def _entry(model: str, name: str, **info: str) -> str:
    told = ", ".join(f"{key}: {value}" for key, value in {"id": name, **info}.items())
    return (
        f"\n  - model_name: {model}\n    litellm_params: {{model: azure/gpt-4o, api_key: k,"
        f" api_base: 'https://{name}.openai.azure.com'}}\n    model_info: {{{told}}}"
    )


def fleet(*entries: str) -> RouterFleet:
    def deployment(match: Match) -> Deployment:
        return deployment_of(match, of_entry(match.entry)[0], api_key("k", bearer=False))

    parsed = config.parse("model_list:" + "".join(entries), {})
    return RouterFleet(Router(parsed, deployment, lambda: 0.0, lambda: 0.5))


def ids(some: list[Deployment]) -> list[str]:
    return [one.id for one in some]


def test_deployments_of_mode_batch_take_them_where_there_are_any() -> None:
    found = fleet(_entry("m", "a", mode="chat"), _entry("m", "b", mode="batch"), _entry("m", "c", mode="batch"))
    assert ids(found.of("m")) == ["b", "c"]


def test_else_any_that_could() -> None:
    found = fleet(_entry("m", "a", mode="chat"), _entry("m", "b"), _entry("m", "c", mode="image_generation"))
    assert ids(found.of("m")) == ["a", "b"]


def test_a_model_that_nobody_has_has_none() -> None:
    assert fleet(_entry("m", "a")).of("other") == []


def test_a_deployment_is_known_by_its_id_whatever_its_model_is_called_by_now() -> None:
    found = fleet(_entry("renamed", "a", mode="batch"))
    known = found.known("m", "a")
    assert known is not None
    assert (known.id, found.known("m", "gone")) == ("a", None)
