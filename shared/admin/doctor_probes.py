"""Asks each deployment something that costs nothing and proves it: reached, signed in, allowed, there, in this version.

Azure has no free call that names a deployment, so a probe is a real one with a body that no model can work on: the
deployment that is there refuses it with a 400, the one that is not is a 404, and neither is billed. A wildcard is asked
for the models of its resource, a batch deployment for its batches, OpenAI for the model.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from typing import Any

import orjson

from shared.admin.doctor_refusals import read_refusal
from shared.admin.findings import Finding
from shared.errors import SpillwayError, UpstreamMisconfigured, UpstreamTimeout, UpstreamUnreachable
from shared.upstream.client import Outgoing, UpstreamClient, kind_of
from shared.upstream.content import Content, Form
from shared.upstream.deployment import Deployment
from shared.upstream.transport import read
from shared.upstream.wire import is_success

PROBE_S = 10.0
REPLY_BYTES_MAX = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Probe:
    """One request that is not billed. `operation` is a name of shared.catalog.api_versions. `body` is of a type that
    no model takes, to which `model` is added; `form` sends it as one."""

    operation: str
    path: str
    body: dict[str, Any] | None = None
    form: bool = False
    query: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Probed:
    """What a probe found. `skew_s`: how far the resource's clock is ahead of ours, None when it did not say."""

    finding: Finding
    skew_s: float | None = None


_MODELS = Probe("models", "models")
_MODEL = Probe("models", "models/{model}")
_BATCHES = Probe("batches", "batches", query=(("limit", "1"),))
_BY_OPERATION: dict[str, Probe] = {
    "chat_completions": Probe("chat_completions", "chat/completions", {"messages": 0}),
    "responses": Probe("responses", "responses", {"input": 0}),
    "embeddings": Probe("embeddings", "embeddings", {"input": {}}),
    "completions": Probe("completions", "completions", {"prompt": {}}),
    "images_generations": Probe("images_generations", "images/generations", {"prompt": 0}),
    "images_edits": Probe("images_edits", "images/edits", {}, form=True),
    "audio_transcriptions": Probe("audio_transcriptions", "audio/transcriptions", {}, form=True),
    "audio_speech": Probe("audio_speech", "audio/speech", {"input": 0, "voice": 0}),
}
_MODES = {
    "chat": "chat_completions",
    "responses": "responses",
    "embedding": "embeddings",
    "completion": "completions",
    "image_generation": "images_generations",
    "image_edit": "images_edits",
    "audio_transcription": "audio_transcriptions",
    "audio_speech": "audio_speech",
}
_SAME = {"responses_create": "responses"}
"""Names of operations that shared.catalog.api_versions has under another one."""


def probe_for(deployment: Deployment) -> Probe:
    """How a deployment is asked: by its mode, else by what its model does, else as a chat model."""
    if "*" in deployment.name:
        return _MODELS
    if deployment.provider == "openai":
        return _MODEL
    if deployment.mode == "batch":
        return _BATCHES
    if deployment.provider == "azure_text":
        return _BY_OPERATION["completions"]
    if deployment.mode is not None:
        known = _MODES.get(deployment.mode)
        return _MODELS if known is None else _BY_OPERATION[known]
    operations = {_SAME.get(one, one) for one in deployment.capability.operations or ()}
    return next(
        (probe for name, probe in _BY_OPERATION.items() if name in operations), _BY_OPERATION["chat_completions"]
    )


async def ask(
    client: UpstreamClient, subject: str, deployment: Deployment, entry_id: str, clock: Callable[[], float] = time.time
) -> Probed:
    """Asks one deployment, for PROBE_S seconds at most. `clock` gives Unix seconds. Never raises SpillwayError."""
    probe = probe_for(deployment)
    try:
        asked_at = clock()
        response = await client.ask(deployment, _outgoing(deployment, probe, entry_id))
        skew_s = _skew(response.headers.get("date"), asked_at, clock())
        body = await read(response, idle_s=PROBE_S, bytes_max=REPLY_BYTES_MAX)
    except SpillwayError as failure:
        return Probed(_unanswered(subject, deployment, failure))
    found = None
    if not is_success(response.status):
        found = read_refusal(subject, deployment, probe.operation, response.status, body)
    return Probed(found or _good(subject, deployment, probe), skew_s)


def _outgoing(deployment: Deployment, probe: Probe, entry_id: str) -> Outgoing:
    content: Content | None = None
    if probe.form:
        content = Form({"model": deployment.name}, ())
    elif probe.body is not None:
        content = orjson.dumps({"model": deployment.name, **probe.body})
    outgoing = Outgoing(
        operation=probe.operation,
        path=probe.path,
        content=content,
        entry_id=entry_id,
        accept="application/json",
        first_byte_s=PROBE_S,
        method="GET" if content is None else "POST",
        query=probe.query,
    )
    return replace(outgoing, ids={"model": deployment.name}) if "{model}" in probe.path else outgoing


def _good(subject: str, deployment: Deployment, probe: Probe) -> Finding:
    proven = "reached, signed in, allowed, and the deployment is there"
    if probe in (_MODELS, _BATCHES):
        proven = f"reached, signed in and allowed; {probe.operation} name no deployment"
    version = f" (api-version {deployment.endpoint.api_version})" if deployment.endpoint.api_version else ""
    return Finding("deployment", "ok", subject, f"{proven}{version}")


def _unanswered(subject: str, deployment: Deployment, failure: SpillwayError) -> Finding:
    if isinstance(failure, UpstreamMisconfigured):
        return Finding(
            "credential",
            "error",
            subject,
            "the gateway cannot sign in to Azure; its log names the reason",
            "Give the app the identity that the entry names (AZURE_CLIENT_ID for a user-assigned one), or run "
            "`az login` on a laptop.",
        )
    if isinstance(failure, UpstreamUnreachable):
        return Finding(
            "reachable",
            "error",
            subject,
            f"the resource cannot be reached: {kind_of(failure)}",
            "Check the host in api_base; behind a private endpoint, the app's subnet and its DNS.",
        )
    if isinstance(failure, UpstreamTimeout):
        return Finding(
            "reachable",
            "error",
            subject,
            f"no answer within {PROBE_S:g} seconds",
            "Check the network on the way there.",
        )
    return Finding("reachable", "error", subject, failure.message, "Check api_base and the network on the way there.")


def _skew(date: str | None, before: float, after: float) -> float | None:
    """Seconds that the other clock, which tells whole ones, is certainly ahead (or behind, below 0)."""
    if date is None:
        return None
    try:
        theirs = parsedate_to_datetime(date).timestamp()
    except ValueError:
        return None
    if theirs > after:
        return theirs - after
    return min(0.0, theirs + 1 - before)
