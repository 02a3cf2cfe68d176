"""The operations on virtual keys."""

from __future__ import annotations

from shared.operations import keys
from shared.operations.operation import Operation

KEY_GENERATE = Operation(
    name="key_generate",
    method="POST",
    path="key/generate",
    root="",
    summary="A new virtual key, with its models, limits and budget",
    serve=keys.generate,
    master=True,
)
KEY_UPDATE = Operation(
    name="key_update",
    method="POST",
    path="key/update",
    root="",
    summary="Changes what a virtual key may do",
    serve=keys.update,
    master=True,
)
KEY_DELETE = Operation(
    name="key_delete",
    method="POST",
    path="key/delete",
    root="",
    summary="Removes virtual keys",
    serve=keys.delete,
    master=True,
)
KEY_BLOCK = Operation(
    name="key_block",
    method="POST",
    path="key/block",
    root="",
    summary="A virtual key works no more, until it is unblocked",
    serve=keys.block,
    master=True,
)
KEY_UNBLOCK = Operation(
    name="key_unblock",
    method="POST",
    path="key/unblock",
    root="",
    summary="A blocked virtual key works again",
    serve=keys.unblock,
    master=True,
)
KEY_REGENERATE = Operation(
    name="key_regenerate",
    method="POST",
    path="key/regenerate",
    root="",
    aliases=("key/{key}/regenerate",),
    summary="Another key with the same id, limits, budget and belongings",
    serve=keys.regenerate,
    master=True,
)
KEY_INFO = Operation(
    name="key_info",
    method="GET",
    path="key/info",
    root="",
    summary="A virtual key, or the caller's own",
    serve=keys.info,
)
KEY_LIST = Operation(
    name="key_list",
    method="GET",
    path="key/list",
    root="",
    summary="Every virtual key, page by page",
    serve=keys.list_keys,
    master=True,
)

KEY_OPERATIONS = (
    KEY_GENERATE,
    KEY_UPDATE,
    KEY_DELETE,
    KEY_BLOCK,
    KEY_UNBLOCK,
    KEY_REGENERATE,
    KEY_INFO,
    KEY_LIST,
)
