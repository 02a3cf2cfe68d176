"""The table of operations. To add an endpoint: write its module with `async def serve(call) -> Reply`, add a row."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from devtools.simulator import (
    batches,
    chat,
    completions,
    embeddings,
    files,
    fine_tuning,
    image_rules,
    images,
    model_list,
    responses,
    responses_stored,
    responses_tokens,
    speech,
    transcriptions,
    uploads,
)
from devtools.simulator.exchange import Call, Reply
from devtools.simulator.surfaces import CLASSIC, EXTENSIONS, V1, Address


@dataclass(frozen=True, slots=True)
class Operation:
    """One endpoint. `path` is what follows the surface, with `{name}` segments.

    `deployed`: it runs on a deployment, named by the path on classic and by the body's `model` on v1; with
    `model_in_body` by the body on both, and its path has no deployment. Its body is JSON, or multipart with `form`.
    `since`: the date of the first classic api-version that has it; `preview_on`: the surfaces where only a preview
    api-version has it. `permission`: what an Entra identity's role must allow.
    """

    name: str
    method: str
    path: str
    serve: Callable[[Call], Awaitable[Reply]]
    deployed: bool = False
    model_in_body: bool = False
    form: bool = False
    surfaces: tuple[str, ...] = (CLASSIC, V1)
    since: str = "2022-12-01"
    preview_on: tuple[str, ...] = ()
    permission: str = "inference"


RESPONSES_SINCE = "2025-03-01"
BATCHES_SINCE = "2024-07-01"
UPLOADS_SINCE = "2024-08-01"
JOBS = "fine_tuning/jobs"
JOBS_SINCE, CHECKPOINTS_SINCE, PAUSE_SINCE = "2023-10-01", "2024-05-01", "2025-04-01"

OPERATIONS = (
    Operation("chat/completions", "POST", "chat/completions", chat.serve, deployed=True,
              surfaces=(CLASSIC, EXTENSIONS, V1), since="2023-03-15"),
    Operation("completions", "POST", "completions", completions.serve, deployed=True),
    Operation("audio/speech", "POST", "audio/speech", speech.serve, deployed=True, since="2024-02-15",
              preview_on=(CLASSIC, V1)),
    Operation("audio/transcriptions", "POST", "audio/transcriptions", transcriptions.serve, deployed=True, form=True,
              since="2023-09-01", preview_on=(V1,)),
    Operation("audio/translations", "POST", "audio/translations", transcriptions.serve_translation, deployed=True,
              form=True, since="2023-09-01", preview_on=(V1,)),
    Operation("images/generations", "POST", "images/generations", images.serve, deployed=True, since="2023-12-01",
              preview_on=(V1,)),
    Operation("images/edits", "POST", "images/edits", images.serve_edit, deployed=True, form=True,
              since=image_rules.GPT_SINCE, preview_on=(CLASSIC, V1)),
    Operation("embeddings", "POST", "embeddings", embeddings.serve, deployed=True),
    *(
        Operation(name, method, path, serve, deployed=deployed, model_in_body=deployed, since=RESPONSES_SINCE)
        for name, method, path, serve, deployed in (
            ("responses", "POST", "responses", responses.serve, True),
            ("responses/compact", "POST", "responses/compact", responses_tokens.serve_compact, True),
            ("responses/input_tokens", "POST", "responses/input_tokens", responses_tokens.serve_input_tokens, True),
            ("responses/retrieve", "GET", "responses/{id}", responses_stored.serve_one, False),
            ("responses/delete", "DELETE", "responses/{id}", responses_stored.serve_delete, False),
            ("responses/cancel", "POST", "responses/{id}/cancel", responses_stored.serve_cancel, False),
            ("responses/input_items", "GET", "responses/{id}/input_items", responses_stored.serve_items, False),
        )
    ),
    *(
        Operation(name, method, path, serve, permission="authoring")
        for name, method, path, serve in (
            ("files", "POST", "files", files.serve_create),
            ("files/list", "GET", "files", files.serve_list),
            ("files/retrieve", "GET", "files/{id}", files.serve_one),
            ("files/delete", "DELETE", "files/{id}", files.serve_delete),
            ("files/content", "GET", "files/{id}/content", files.serve_content),
        )
    ),
    *(
        Operation(name, "POST", path, serve, permission="authoring", since=UPLOADS_SINCE, surfaces=(CLASSIC,))
        for name, path, serve in (
            ("uploads", "uploads", uploads.serve_create),
            ("uploads/parts", "uploads/{id}/parts", uploads.serve_part),
            ("uploads/complete", "uploads/{id}/complete", uploads.serve_complete),
            ("uploads/cancel", "uploads/{id}/cancel", uploads.serve_cancel),
        )
    ),
    *(
        Operation(name, method, path, serve, permission="authoring", since=BATCHES_SINCE)
        for name, method, path, serve in (
            ("batches", "POST", "batches", batches.serve_create),
            ("batches/list", "GET", "batches", batches.serve_list),
            ("batches/retrieve", "GET", "batches/{id}", batches.serve_one),
            ("batches/cancel", "POST", "batches/{id}/cancel", batches.serve_cancel),
        )
    ),
    *(
        Operation(JOBS + name, method, JOBS + path, serve, since=since, permission="authoring")
        for name, method, path, serve, since in (
            ("", "POST", "", fine_tuning.serve_create, JOBS_SINCE),
            ("/list", "GET", "", fine_tuning.serve_list, JOBS_SINCE),
            ("/retrieve", "GET", "/{id}", fine_tuning.serve_one, JOBS_SINCE),
            ("/cancel", "POST", "/{id}/cancel", fine_tuning.serve_cancel, JOBS_SINCE),
            ("/pause", "POST", "/{id}/pause", fine_tuning.serve_pause, PAUSE_SINCE),
            ("/resume", "POST", "/{id}/resume", fine_tuning.serve_resume, PAUSE_SINCE),
            # The specification has GET, the documentation's own examples POST.
            ("/events", "GET", "/{id}/events", fine_tuning.serve_events, JOBS_SINCE),
            ("/events", "POST", "/{id}/events", fine_tuning.serve_events, JOBS_SINCE),
            ("/checkpoints", "GET", "/{id}/checkpoints", fine_tuning.serve_checkpoints, CHECKPOINTS_SINCE),
            ("/checkpoints", "POST", "/{id}/checkpoints", fine_tuning.serve_checkpoints, CHECKPOINTS_SINCE),
        )
    ),
    Operation(JOBS + "/delete", "DELETE", JOBS + "/{id}", fine_tuning.serve_delete, since=JOBS_SINCE,
              permission="authoring", surfaces=(CLASSIC,)),
    Operation("models", "GET", "models", model_list.serve_list),
    Operation("models", "GET", "models/{model}", model_list.serve_one),
)  # fmt: skip
_BY_LENGTH: dict[tuple[str, int], list[tuple[Operation, list[str]]]] = {}
for _operation in OPERATIONS:
    _segments = _operation.path.split("/")
    _BY_LENGTH.setdefault((_operation.method, len(_segments)), []).append((_operation, _segments))


def find(method: str, address: Address) -> tuple[Operation, dict[str, str]] | None:
    """The operation of a method and address, with what its path's `{name}` segments matched."""
    parts = address.tail.split("/")
    for operation, segments in _BY_LENGTH.get((method, len(parts)), ()):
        if address.surface not in operation.surfaces:
            continue
        in_path = operation.deployed and not operation.model_in_body
        if address.surface != V1 and in_path != (address.deployment is not None):
            continue
        params = _match(segments, parts)
        if params is not None:
            return operation, params
    return None


def _match(segments: list[str], parts: list[str]) -> dict[str, str] | None:
    params: dict[str, str] = {}
    for segment, part in zip(segments, parts, strict=True):
        if segment.startswith("{"):
            if not part:
                return None
            params[segment.strip("{}")] = part
        elif segment != part:
            return None
    return params
