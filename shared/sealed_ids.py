"""Ids of the Responses API: where they stand, sealed on their way out, opened on their way in (DESIGN §10).

A response, its items and its containers live at the resource that made them, and only there. What they are called
outside says which one that is, so a request that names one goes to the right resource, from any instance.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from shared.errors import BadRequest, NotFound, SpillwayError
from shared.seal import Seal, Sealed, Sealer
from shared.shapes import CONTENT, FILE, ID, NAME, Mark, Place, Shape, places

_OUTPUT: Shape = ([{"file_id": FILE}], {"file_id": FILE})
ITEM: Shape = {
    "id": NAME,
    "encrypted_content": CONTENT,
    "container_id": ID,
    "approval_request_id": NAME,
    "content": [{"file_id": FILE, "annotations": [{"container_id": ID, "file_id": FILE}]}],
    "output": _OUTPUT,
    "environment": {"container_id": ID},
}
TOOL: Shape = {
    "container": (ID, {"file_ids": [FILE]}),
    "environment": {"container_id": ID, "file_ids": [FILE]},
    "input_image_mask": {"file_id": FILE},
}
_CACHE: Shape = {"comparison_response_id": ID}
RESPONSE: Shape = {
    "id": ID,
    "previous_response_id": ID,
    "conversation": (ID, {"id": ID}),
    "prompt_cache_options": _CACHE,
    "output": [ITEM],
    "instructions": [ITEM],
    "tools": [TOOL],
}
EVENT: Shape = {
    "response": RESPONSE,
    "response_id": ID,
    "item": ITEM,
    "item_id": ID,
    "part": {"annotations": [{"container_id": ID, "file_id": FILE}]},
    "annotation": {"container_id": ID, "file_id": FILE},
}
ITEMS: Shape = {"data": [ITEM], "first_id": NAME, "last_id": NAME}
REQUEST: Shape = {
    "previous_response_id": ID,
    "conversation": (ID, {"id": ID}),
    "prompt_cache_options": _CACHE,
    "input": [ITEM],
    "tools": [TOOL],
}
QUERY: Shape = {"after": ID, "before": ID}

_NAME_CHARS_MAX = 64
"""Ids that the API itself takes are no longer; ours always are."""
_READ_BY_ID = {"reasoning": "encrypted_content", "compaction": "encrypted_content", "image_generation_call": "result"}
"""Items which, without this field, are looked up by their id, as an `item_reference` always is."""
# An id in the words of an error: a prefix and at least 32 hexadecimal digits, as Azure makes them.
_IN_TEXT = re.compile(r"\b[a-z]{2,10}_[0-9a-f]{32,}\b")


def sealing(seal: Seal, resource: bytes, file_of: Callable[[str], str | None]) -> Callable[[str, Mark], str]:
    """What seals the strings of one reply of a resource (its tag); ids that come again in every event of a stream are
    sealed once. `file_of` gives our id of an upstream file, None for one that Spillway did not bring there."""
    known = dict[str, str]()

    def sealed(text: str, mark: Mark) -> str:
        if mark is CONTENT:
            return seal.content(text, resource)
        if mark is FILE:
            return file_of(text) or text
        if text not in known:
            known[text] = seal.id(text, resource)
        return known[text]

    return sealed


def scrub(text: str, seal: Seal, resource: bytes) -> str:
    """An error's words with our ids in the place of the upstream's."""
    return _IN_TEXT.sub(lambda found: seal.id(found[0], resource), text)


def bound(body: Any, shape: Shape) -> str | None:
    """The path of the first thing in `body` that lives at one resource or is a file; None when any may be asked."""
    for place in places(body, shape):
        holder, key, mark, param = place
        text: str = holder[key]
        if mark is FILE or (Sealer.is_wrapped(text) if mark is CONTENT else _must_be_ours(place, text)):
            return param
    return None


def unseal(body: Any, shape: Shape, seal: Seal) -> bytes | None:
    """Puts upstream ids into `body`, in place; gives the tag of the resource that they belong to, None without any.

    Raises NotFound for an id that is not this caller's, BadRequest for ids of different resources and for encrypted
    content that was changed. An item's own name, and encrypted content that Spillway never saw, stay as they are.
    """
    resource: bytes | None = None
    for holder, key, opened, param in list(_opened(body, shape, seal)):
        if resource is not None and opened.resource != resource:
            raise BadRequest(
                f"`{param}` belongs to another resource than the other ids of this request: they cannot be used in "
                "one call.",
                param=param,
                code="ids_of_several_resources",
            )
        resource = opened.resource
        holder[key] = opened.upstream
    return resource


def _opened(body: Any, shape: Shape, seal: Seal) -> Iterator[tuple[Any, Any, Sealed, str]]:
    for place in places(body, shape):
        holder, key, mark, param = place
        text: str = holder[key]
        if mark is FILE:
            continue  # a file is no resource's: shared.operations.attached
        if mark is CONTENT:
            opened = seal.open_content(text)
            if opened is None and Sealer.is_wrapped(text):
                raise BadRequest(
                    f"The encrypted content of `{param}` could not be verified.",
                    param=param,
                    code="invalid_encrypted_content",
                )
        else:
            opened = seal.open_id(text)
            if opened is None and _must_be_ours(place, text):
                raise _unknown(param)
        if opened is not None:
            yield holder, key, opened, param


def _must_be_ours(place: Place, text: str) -> bool:
    """Whether the upstream would look the id up: then only one that this caller was given may be sent."""
    holder, key, mark, _ = place
    if mark is ID or len(text) > _NAME_CHARS_MAX:
        return True
    if key != "id" or not isinstance(holder, dict):
        return False
    kind = holder.get("type") or ("message" if "role" in holder else "item_reference")
    return kind == "item_reference" or (kind in _READ_BY_ID and not holder.get(_READ_BY_ID[kind]))


def _unknown(param: str) -> SpillwayError:
    return NotFound(f"There is nothing here with the id in `{param}`.", param=param)
