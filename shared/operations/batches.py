"""`/v1/batches`: create, list, retrieve, cancel. `custom_llm_provider` is accepted anywhere and says nothing new."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from shared.batches.document import Batch
from shared.batches.lines import KINDS, kind_of
from shared.batches.service import Asked
from shared.batches.shown import deployments_of, shown
from shared.errors import BadRequest, ModelNotFound, quoted
from shared.files.stored_file import StoredFile
from shared.operations.allowed import names
from shared.operations.batch_models import known_model
from shared.operations.body import read_json
from shared.operations.context import Context
from shared.operations.file_fields import expires_after_s, model_of
from shared.operations.files import owner_of
from shared.operations.parsing import missing, text, wrong_type
from shared.operations.reply import BufferedReply

BODY_BYTES_MAX = 1024 * 1024
WINDOW = "24h"
LIMIT, LIMIT_MAX = 20, 100
METADATA_MAX, NAME_CHARS_MAX, VALUE_CHARS_MAX = 16, 64, 512
"""OpenAI's bounds."""
ROUNDS_MAX = 5
RETRY_FAILED = "retry_failed"
"""The key of `metadata` that says how often lines which failed for a passing reason are sent again."""
KEY_CHARS_MAX = 255


async def create(context: Context) -> BufferedReply:
    """A batch of a file's requests: `input_file_id`, `endpoint`, `completion_window`; `model` where the lines name
    none; `metadata`, `output_expires_after`. An Idempotency-Key makes a repetition harmless."""
    body = await read_json(context.request, BODY_BYTES_MAX)
    file_id, endpoint = text(body, "input_file_id"), text(body, "endpoint")
    kind = kind_of(endpoint)
    if kind is None:
        one_of = ", ".join(f"/v1/{one}" for one in KINDS)
        raise BadRequest(f"{quoted(endpoint)} is not one of {one_of}.", param="endpoint", code="invalid_value")
    if body.get("completion_window") != WINDOW:
        raise BadRequest("`completion_window` must be 24h.", param="completion_window", code="invalid_value")
    metadata = _metadata(body.get("metadata"))
    owner = owner_of(context)
    file = await context.parts.files.store.find(owner, file_id, "input_file_id")
    asked = Asked(
        owner=owner,
        file=file,
        endpoint=endpoint,
        model=_model(context, body, file, kind),
        split=context.parts.batches.splits,
        rounds=_rounds(metadata),
        metadata=metadata,
        output_expires_s=expires_after_s(body.get("output_expires_after")),
        alias=context.caller.key_alias,
        tags=() if context.caller.key is None else context.caller.key.tags,
        idempotency_key=_idempotency_key(context),
        key=context.caller.key,
    )
    return _answer(await context.parts.batches.create(asked))


async def retrieve(context: Context) -> BufferedReply:
    """One batch. One that is not over is moved on by the way."""
    return _answer(await context.parts.batches.find(owner_of(context), context.params["id"]))


async def cancel(context: Context) -> BufferedReply:
    """Asks for the end of a batch; what is done by then is kept."""
    return _answer(await context.parts.batches.cancel(owner_of(context), context.params["id"]))


async def list_batches(context: Context) -> BufferedReply:
    """The caller's batches, newest first: `after`, `limit`."""
    query = context.request.query_params
    limit = query.get("limit") or str(LIMIT)
    if not (limit.isdecimal() and len(limit) < 10 and 1 <= int(limit) <= LIMIT_MAX):
        raise BadRequest(f"`limit` must be from 1 to {LIMIT_MAX}.", param="limit", code="invalid_value")
    some, more = await context.parts.batches.page(owner_of(context), int(limit), query.get("after") or None)
    data = [shown(one) for one in some]
    page = {
        "object": "list",
        "data": data,
        "first_id": data[0]["id"] if data else None,
        "last_id": data[-1]["id"] if data else None,
        "has_more": more,
    }
    return BufferedReply(200, orjson.dumps(page))


def _answer(batch: Batch) -> BufferedReply:
    reply = BufferedReply(200, orjson.dumps(shown(batch)))
    deployments = deployments_of(batch)
    if deployments:
        reply.headers["x-spillway-deployment"] = deployments
    return reply


def _model(context: Context, body: Mapping[str, Any], file: StoredFile, kind: str) -> str:
    """The public name of the batch's model: what the request says, else what the lines do. Raises BadRequest or
    ModelNotFound; BadRequest too for a file that is no batch's or is for another endpoint."""
    if file.purpose != "batch":
        raise BadRequest(
            f"The file must have the purpose batch, not {file.purpose}.", param="input_file_id", code="invalid_value"
        )
    url = file.notes.get("url")
    if url is not None and kind_of(str(url)) != kind:
        raise BadRequest(
            f"The lines of the file ask for {url}, not for {quoted(str(body.get('endpoint')))}.",
            param="endpoint",
            code="url_mismatch",
        )
    model = body.get("model")
    if model is not None and not isinstance(model, str):
        raise wrong_type("model", "a string", model)
    name = model_of(body, context.request.query_params, context.request.headers) or file.notes.get("model")
    name = name or file.model
    if not name:
        raise missing("model")
    router, caller = context.parts.router, context.caller
    known = known_model(router, caller, str(name))
    if known is None:
        raise ModelNotFound(str(name), names(router, caller, patterns=True))
    return known.name


def _metadata(value: Any) -> dict[str, str] | None:
    if value is None:
        return None
    if not isinstance(value, dict):
        raise wrong_type("metadata", "an object", value)
    fits = len(value) <= METADATA_MAX and all(
        isinstance(one, str) and len(name) <= NAME_CHARS_MAX and len(one) <= VALUE_CHARS_MAX
        for name, one in value.items()
    )
    if not fits:
        raise BadRequest(
            f"`metadata` may have {METADATA_MAX} strings of up to {VALUE_CHARS_MAX} characters, under names of up to "
            f"{NAME_CHARS_MAX}.",
            param="metadata",
            code="invalid_value",
        )
    return value


def _rounds(metadata: Mapping[str, str] | None) -> int:
    """How often lines are sent again."""
    written = (metadata or {}).get(RETRY_FAILED)
    if written is None:
        return 0
    if not (written.isdecimal() and len(written) < 3 and int(written) <= ROUNDS_MAX):
        raise BadRequest(
            f"`metadata.{RETRY_FAILED}` must be from 0 to {ROUNDS_MAX}.",
            param=f"metadata.{RETRY_FAILED}",
            code="invalid_value",
        )
    return int(written)


def _idempotency_key(context: Context) -> str:
    key = context.request.headers.get("idempotency-key", "")
    if len(key) > KEY_CHARS_MAX:
        raise BadRequest(f"The Idempotency-Key has more than {KEY_CHARS_MAX} characters.", code="invalid_value")
    return key
