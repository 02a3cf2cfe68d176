"""`uploads` of the classic surface: create, parts, complete, cancel. The v1 surface does not have them."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any

from devtools.simulator import authoring_errors, checks, errors, files
from devtools.simulator.batch_run import let_others
from devtools.simulator.exchange import Call, Reply
from devtools.simulator.files_store import StoredFile
from devtools.simulator.uploads_store import PARTS_MAX, Part, Upload

COPY_BYTES = 1024 * 1024
BLOCK_ID_BYTES = 16


async def serve_create(call: Call) -> Reply:
    """`POST uploads` with `filename`, `purpose`, `bytes`, `mime_type`; raises AzureError."""
    body = files.body_of(call)
    settings = call.resource.authoring
    for name in ("filename", "mime_type"):
        checks.text(body, name, files.NAME_CHARS_MAX)
    purpose = body.get("purpose")
    files.check_purpose(purpose)
    files.check_name(body["filename"], str(purpose))
    most = settings.batch_file_bytes_max if purpose == "batch" else settings.upload_bytes_max
    size = checks.integer(body, "bytes", 1, most)
    if size is None:
        raise errors.missing_parameter("bytes")
    now = call.world.time()
    upload = Upload(
        id=call.world.hex_id(f"{purpose}-", 32),
        filename=body["filename"],
        purpose=str(purpose),
        bytes=size,
        created_at=now,
        expires_at=now + settings.upload_s,
        file_expiry_s=files.expiry_s(body.get("expires_after")),
    )
    call.world.uploads.put(call.resource.name, upload)
    reply = files.answer(upload.to_json(now))
    reply.headers["location"] = files.location(call, f"uploads/{upload.id}")
    return reply


async def serve_part(call: Call) -> Reply:
    """`POST uploads/{id}/parts` as multipart with `data`; raises AzureError."""
    upload = _pending(call)
    form = call.request.spooled
    if form is None or not form.complete:
        raise errors.not_multipart()
    if "data" not in form.files:
        raise authoring_errors.invalid_payload("The request does not have a part named 'data'.")
    size = form.files["data"].size
    if size > call.resource.authoring.part_bytes_max:
        raise errors.body_too_large(call.resource.authoring.part_bytes_max, size)
    if sum(part.size for part in upload.parts) + size > upload.bytes or len(upload.parts) >= PARTS_MAX:
        raise authoring_errors.invalid_payload(f"The parts are more than the {upload.bytes} bytes of the upload.")
    data = form.take("data")
    assert data is not None
    block_id = base64.b64encode(bytes.fromhex(call.world.hex_id("", 2 * BLOCK_ID_BYTES))).decode()
    part = Part(call.world.hex_id("uplprt-", 32), block_id, data.path, data.size)
    upload.parts.append(part)
    return files.answer({
        "object": "upload.part",
        "id": part.id,
        "azure_block_id": part.block_id,
        "upload_id": upload.id,
        "created_at": int(call.world.time()),
    })  # fmt: skip


async def serve_complete(call: Call) -> Reply:
    """`POST uploads/{id}/complete` with `part_ids` in their order and perhaps `md5`; raises AzureError.

    A part may be named by its id or by its `azure_block_id`, as Azure's example does.
    """
    upload = _pending(call)
    body = files.body_of(call)
    parts = _chosen(upload, body.get("part_ids"))
    size = sum(part.size for part in parts)
    if size != upload.bytes:
        raise authoring_errors.invalid_payload(
            f"The parts have {size} bytes, but the upload was created for {upload.bytes} bytes."
        )
    expiry_s = upload.file_expiry_s
    files.check_quota(call, expiring=expiry_s is not None)
    path = call.world.scratch.new()
    upload.status = "completing"
    try:
        md5 = await _joined(parts, path)
        if body.get("md5") not in (None, "", md5):
            path.unlink()
            raise authoring_errors.invalid_payload("The MD5 checksum does not match the uploaded bytes.")
    finally:
        upload.status = "pending"
    now = call.world.time()
    file = StoredFile(
        id=call.world.hex_id("file-", 32),
        filename=upload.filename,
        purpose=upload.purpose,
        bytes=size,
        created_at=now,
        path=path,
        expires_at=None if expiry_s is None else now + expiry_s,
        ready_at=now + call.resource.authoring.file_pending_s,
    )
    call.world.files.put(call.resource.name, file)
    upload.file = files.shown(file, call.resource, now)
    upload.end("completed")
    return files.answer(upload.to_json(now))


async def serve_cancel(call: Call) -> Reply:
    """`POST uploads/{id}/cancel`; no part can be added afterwards."""
    upload = _pending(call)
    upload.end("cancelled")
    return files.answer(upload.to_json(call.world.time()))


def _pending(call: Call) -> Upload:
    """The upload, which must be pending; raises AzureError 404 or 409."""
    upload = call.world.uploads.get(call.resource.name, call.params["id"])
    if upload is None:
        raise authoring_errors.not_found("upload", call.params["id"])
    status = upload.status_at(call.world.time())
    if status != "pending":
        raise authoring_errors.conflict(f"The upload '{upload.id}' has the status '{status}'.")
    return upload


def _chosen(upload: Upload, part_ids: Any) -> list[Part]:
    if not isinstance(part_ids, list) or not part_ids:
        raise errors.missing_parameter("part_ids")
    known = {name: part for part in upload.parts for name in (part.id, part.block_id)}
    chosen = {known[name].id: known[name] for name in part_ids if isinstance(name, str) and name in known}
    if len(chosen) < len(part_ids):
        raise authoring_errors.invalid_payload(f"The part_ids are not parts of the upload '{upload.id}', each once.")
    return list(chosen.values())


async def _joined(parts: list[Part], path: Path) -> str:
    """Writes the parts into one file, a piece at a time; gives its MD5 in hexadecimal."""
    md5 = hashlib.md5(usedforsecurity=False)
    with path.open("wb") as target:
        for part in parts:
            with part.path.open("rb") as source:
                while piece := source.read(COPY_BYTES):
                    target.write(piece)
                    md5.update(piece)
                    await let_others()
    return md5.hexdigest()
