"""`/v1/fine_tuning/jobs`: what is asked is checked here, and done by shared.jobs."""

from __future__ import annotations

import re
from typing import Any

import orjson

from shared.errors import BadRequest, ModelNotFound, NotFound, quoted
from shared.files.identity import JOB, place_of
from shared.jobs.shown import job_shown
from shared.jobs.tuning import Asked
from shared.operations import asked as routing
from shared.operations.allowed import names
from shared.operations.body import read_json
from shared.operations.context import Context
from shared.operations.files import owner_of
from shared.operations.parsing import missing, text, wrong_type
from shared.operations.reply import BufferedReply

BODY_BYTES_MAX = 1024 * 1024
LIMIT_DEFAULT, LIMIT_MAX = 20, 100
_OWN = frozenset({"model", "training_file", "validation_file", "custom_llm_provider", "timeout"})
"""Fields that are not passed on as they are."""
_SUFFIX_CHARS_MAX = 64
_METADATA = re.compile(r"metadata\[([^\[\]]{1,64})\]")


async def create(context: Context) -> BufferedReply:
    """Makes a job of `model` and `training_file`; what else is in the body is the resource's to judge."""
    body, asked = routing.taken(await read_json(context.request, BODY_BYTES_MAX), context.request.headers)
    model, training = text(body, "model"), text(body, "training_file")
    context.record.model = model
    validation = body.get("validation_file")
    if validation is not None and not isinstance(validation, str):
        raise wrong_type("validation_file", "a string", validation)
    for name in ("hyperparameters", "method", "metadata"):
        if body.get(name) is not None and not isinstance(body[name], dict):
            raise wrong_type(name, "an object", body[name])
    suffix = body.get("suffix")
    if suffix is not None and (not isinstance(suffix, str) or not 0 < len(suffix) <= _SUFFIX_CHARS_MAX):
        raise BadRequest(
            f"`suffix` must be a string of 1 to {_SUFFIX_CHARS_MAX} characters.", param="suffix", code="invalid_value"
        )
    job = await context.parts.tuning.create(
        Asked(
            owner=owner_of(context),
            model=_meant(context, model),
            training=training,
            validation=validation or "",
            request={name: value for name, value in body.items() if name not in _OWN and value is not None},
            alias=context.caller.key_alias,
            tags=tuple(asked.tags),
            region=asked.region or "",
            key=context.caller.key,
        )
    )
    return _answer(job_shown(job))


async def list_jobs(context: Context) -> BufferedReply:
    """The caller's jobs, the newest first: `after`, `limit`, `metadata[k]=v`."""
    query = context.request.query_params
    limit = query.get("limit")
    count = LIMIT_DEFAULT
    if limit:
        count = int(limit) if limit.isascii() and limit.isdecimal() and len(limit) < 6 else 0
        if not 1 <= count <= LIMIT_MAX:
            raise BadRequest(
                f"Invalid 'limit': {quoted(limit)} is not a whole number from 1 to {LIMIT_MAX}.",
                param="limit",
                code="invalid_value",
            )
    metadata = {found[1]: value for name, value in query.items() if (found := _METADATA.fullmatch(name))}
    page = await context.parts.tuning.page(owner_of(context), query.get("after") or None, count, metadata)
    data = [job_shown(job) for job in page.jobs]
    edges = {"first_id": data[0]["id"] if data else None, "last_id": data[-1]["id"] if data else None}
    return _answer({"object": "list", "data": data, **edges, "has_more": page.has_more})


async def retrieve(context: Context) -> BufferedReply:
    """A job as it is now."""
    return _answer(job_shown(await context.parts.tuning.retrieve(owner_of(context), _id(context))))


async def cancel(context: Context) -> BufferedReply:
    """Cancels a job; what it has trained is charged."""
    return await _acted(context, "cancel")


async def pause(context: Context) -> BufferedReply:
    """Pauses a job that is running."""
    return await _acted(context, "pause")


async def resume(context: Context) -> BufferedReply:
    """Resumes a job that is paused."""
    return await _acted(context, "resume")


async def events(context: Context) -> BufferedReply:
    """What happened to a job, the newest first."""
    return _answer(await context.parts.tuning.events(owner_of(context), _id(context), _paging(context)))


async def checkpoints(context: Context) -> BufferedReply:
    """The checkpoints of a job, the newest first."""
    return _answer(await context.parts.tuning.checkpoints(owner_of(context), _id(context), _paging(context)))


async def _acted(context: Context, verb: str) -> BufferedReply:
    return _answer(job_shown(await context.parts.tuning.act(owner_of(context), _id(context), verb)))


def _meant(context: Context, model: str) -> str:
    """The model that the caller means. Raises ModelNotFound for one that its key may not use."""
    key = context.caller.key
    if key is None:
        return model
    if not key.permits(model):
        raise ModelNotFound(model, names(context.parts.router, context.caller, patterns=True))
    return key.meant(model)


def _id(context: Context) -> str:
    job_id = context.params.get("id")
    if not job_id:
        raise missing("fine_tuning_job_id")
    if place_of(JOB, job_id) is None:
        raise NotFound("No such fine-tuning job.", param="fine_tuning_job_id")
    return job_id


def _paging(context: Context) -> list[tuple[str, str]]:
    query = context.request.query_params
    return [(name, query[name]) for name in ("after", "limit") if query.get(name)]


def _answer(body: Any) -> BufferedReply:
    return BufferedReply(200, orjson.dumps(body))
