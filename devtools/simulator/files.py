"""`files`: create, list, retrieve, delete, content."""

from __future__ import annotations

from typing import Any

import orjson

from devtools.simulator import authoring_errors, errors, pages
from devtools.simulator.exchange import JSON, Call, FileBody, Reply
from devtools.simulator.files_store import GIVEN_PURPOSES, StoredFile
from devtools.simulator.resources import Resource
from devtools.simulator.surfaces import CLASSIC, date_of

LIST_LIMIT = 10_000
NAME_CHARS_MAX = 512
METADATA_MAX = 16
LINES_PURPOSES = ("batch", "fine-tune")
EXPIRY_S_MIN, EXPIRY_S_MAX = 1_209_600, 2_592_000
"""14 to 30 days."""
DELETE_TELLS_SINCE = "2024-10-21"
"""Earlier api-versions answer a deletion with 204 and nothing (REST reference, Files - Delete)."""


async def serve_create(call: Call) -> Reply:
    """`POST files` as multipart: `file`, `purpose`, `expires_after`; raises AzureError."""
    form = call.request.spooled
    if form is None or not form.complete:
        raise errors.not_multipart()
    purpose = form.fields.get("purpose", "")
    check_purpose(purpose)
    upload = form.files.get("file")
    if upload is None:
        raise authoring_errors.invalid_payload("The request does not have a part named 'file'.")
    check_name(upload.name, purpose)
    seconds = expiry_s(expires_after(form.fields))
    check_size(call.resource, purpose, upload.size)
    check_quota(call, expiring=seconds is not None)
    form.take("file")
    now = call.world.time()
    file = StoredFile(
        id=call.world.hex_id("file-", 32),
        filename=upload.name,
        purpose=purpose,
        bytes=upload.size,
        created_at=now,
        path=upload.path,
        expires_at=None if seconds is None else now + seconds,
        ready_at=now + call.resource.authoring.file_pending_s,
    )
    call.world.files.put(call.resource.name, file)
    return created(call, f"files/{file.id}", shown(file, call.resource, now))


async def serve_list(call: Call) -> Reply:
    """`GET files`, with `purpose`, `after`, `limit` and `order`."""
    now = call.world.time()
    files = call.world.files.all(call.resource.name, now)
    purpose = call.request.query.get("purpose")
    if purpose:
        files = [file for file in files if file.purpose == purpose]
    some, more = pages.page(files, call.request.query, limit=LIST_LIMIT, limit_max=LIST_LIMIT)
    return answer(pages.listing([shown(file, call.resource, now) for file in some], more))


async def serve_one(call: Call) -> Reply:
    """`GET files/{id}`."""
    return answer(shown(find(call, call.params["id"]), call.resource, call.world.time()))


async def serve_content(call: Call) -> Reply:
    """`GET files/{id}/content`: the bytes, from the disk."""
    file = find(call, call.params["id"])
    name = "".join(char if " " <= char <= "~" and char not in '"\\' else "_" for char in file.filename)
    headers = {"content-type": "application/octet-stream", "content-disposition": f'attachment; filename="{name}"'}
    return Reply(headers=headers, file=FileBody(file.path, file.bytes))


async def serve_delete(call: Call) -> Reply:
    """`DELETE files/{id}`: newer api-versions tell what was deleted, older ones answer 204."""
    file = find(call, call.params["id"])
    call.world.files.delete(call.resource.name, file.id)
    if date_of(call.api_version) < DELETE_TELLS_SINCE or call.resource.authoring.has("empty_deletes"):
        return Reply(204)
    return answer({"object": "file", "id": file.id, "deleted": True})


def find(call: Call, file_id: str) -> StoredFile:
    """The resource's file; raises AzureError 404."""
    file = call.world.files.get(call.resource.name, file_id, call.world.time())
    if file is None:
        raise authoring_errors.not_found("file", file_id)
    return file


def body_of(call: Call) -> dict[str, Any]:
    """The JSON of an authoring call; raises AzureError 400."""
    try:
        body = orjson.loads(call.request.body)
    except ValueError:
        raise errors.not_json() from None
    if not isinstance(body, dict):
        raise errors.not_json()
    return body


def metadata_of(body: dict[str, Any]) -> dict[str, str] | None:
    """`metadata`: up to 16 strings by name, or null; raises AzureError 400."""
    metadata = body.get("metadata")
    if metadata is None:
        return None
    if (
        not isinstance(metadata, dict)
        or len(metadata) > METADATA_MAX
        or not all(isinstance(value, str) for value in metadata.values())
    ):
        raise authoring_errors.invalid_payload(f"Invalid metadata: it must be up to {METADATA_MAX} strings by name.")
    return metadata


def answer(body: dict[str, Any]) -> Reply:
    """A JSON answer."""
    return Reply(headers={"content-type": JSON}, body=orjson.dumps(body))


def created(call: Call, path: str, body: dict[str, Any]) -> Reply:
    """A JSON answer about what was made: 201 with its `location` on the classic surface, 200 on v1."""
    reply = answer(body)
    if call.surface == CLASSIC:
        reply.status = 201
        reply.headers["location"] = location(call, path)
    return reply


def location(call: Call, path: str) -> str:
    """Where a thing of this resource is, as Azure's `location` header says it."""
    return f"https://{call.resource.name}.openai.azure.com/openai/{path}?api-version={call.api_version}"


def shown(file: StoredFile, resource: Resource, now: float) -> dict[str, Any]:
    """The file as it is sent."""
    status = "pending" if now < file.ready_at else "processed"
    return {
        "object": "file",
        "id": file.id,
        "purpose": file.purpose,
        "filename": file.filename,
        "bytes": file.bytes,
        "created_at": int(file.created_at),
        "expires_at": None if file.expires_at is None else int(file.expires_at),
        "status": status.capitalize() if resource.authoring.has("capital_statuses") else status,
        "status_details": None,
    }


def check_purpose(purpose: object) -> None:
    """Raises AzureError 400 unless a client may upload for this purpose; `user_data` and `vision` are OpenAI's only."""
    if purpose in ("user_data", "vision"):
        raise authoring_errors.invalid_payload(f"Setting file upload purpose to {purpose} is not currently supported.")
    if purpose not in GIVEN_PURPOSES:
        raise authoring_errors.invalid_payload(
            f"Invalid value for purpose: '{purpose}'. Supported values are: {', '.join(GIVEN_PURPOSES)}."
        )


def check_name(name: str, purpose: str) -> None:
    """Raises AzureError 400 when a file of lines is not called one."""
    if purpose in LINES_PURPOSES and not name.lower().endswith(".jsonl"):
        raise authoring_errors.invalid_payload(
            f"Invalid file name '{name}': a file with the purpose {purpose} must be a .jsonl file."
        )


def check_size(resource: Resource, purpose: str, size: int) -> None:
    """Raises AzureError 413 when a file is too large for its purpose."""
    settings = resource.authoring
    most = settings.batch_file_bytes_max if purpose == "batch" else settings.file_bytes_max
    if size > most:
        raise errors.body_too_large(most, size)


def check_quota(call: Call, *, expiring: bool) -> None:
    """Raises AzureError 400 when the resource has as many files as it may have."""
    settings = call.resource.authoring
    most = settings.expiring_files_max if expiring else settings.files_max
    if call.world.files.count(call.resource.name, call.world.time(), expiring=expiring) >= most:
        kind = "with" if expiring else "without"
        raise authoring_errors.quota_exceeded(
            f"The number of files {kind} an expiration time exceeds the limit of {most} for this resource. Please "
            "delete files that are no longer needed."
        )


def expires_after(fields: dict[str, str]) -> dict[str, str] | None:
    """What a form says of the expiry: bracketed as SDKs send it, or with a dot as Azure's samples do."""
    found = {
        name: value
        for name in ("anchor", "seconds")
        if (value := fields.get(f"expires_after[{name}]", fields.get(f"expires_after.{name}"))) is not None
    }
    return found or None


def expiry_s(given: object) -> int | None:
    """The seconds after which a file expires, from `{anchor, seconds}` or None; raises AzureError 400."""
    if given is None:
        return None
    seconds = str(given.get("seconds")) if isinstance(given, dict) else ""
    if not isinstance(given, dict) or given.get("anchor") != "created_at" or not seconds.isdigit():
        raise authoring_errors.invalid_payload("expires_after needs the anchor 'created_at' and a number of seconds.")
    if not EXPIRY_S_MIN <= int(seconds) <= EXPIRY_S_MAX:
        raise authoring_errors.invalid_payload(
            f"expires_after.seconds must be between {EXPIRY_S_MIN} and {EXPIRY_S_MAX}, but got {seconds}."
        )
    return int(seconds)
