"""A response that was made before: read it, stream it again, cancel it, delete it, list what it was made from.

Its id says at which resource it is; no model is named and nothing is billed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from shared import sealed_ids
from shared.errors import PERHAPS_DONE, BadRequest, Replay
from shared.operations import responses, responses_ids
from shared.operations.operation import FREE, Call, Incoming, Proxied, Query
from shared.operations.responses_events import StoredEvents
from shared.upstream.deployment import Deployment
from shared.usage.usage import Usage

# Names of a query that are passed on. openai-python writes a list as `include[]`.
_OF_ONE = frozenset({"include", "include[]", "include_obfuscation", "starting_after", "stream"})
_OF_ITEMS = frozenset({"after", "before", "include", "include[]", "limit", "order"})
_TRUTH = {"true": True, "false": False}


def _parse(incoming: Incoming, known: frozenset[str] = frozenset()) -> Call:
    """A Call for the response that the path names. Raises NotFound for an id that is not this caller's."""
    name, opened = responses_ids.named(incoming)
    return Call(
        call_id=incoming.call_id,
        caller=incoming.caller,
        model="",
        body={},
        stream=False,
        seal=replace(incoming.seal, owner=opened.owner),  # the master key sees the ids that the owner knows
        ids={name: opened.upstream},
        query=tuple((key, value) for key, value in incoming.query if key in known),
        resource=opened.resource,
    )


def _parse_retrieve(incoming: Incoming) -> Call:
    call = _parse(incoming, _OF_ONE)
    written = dict(call.query).get("stream", "false").lower()
    if written not in _TRUTH:
        raise BadRequest("Invalid 'stream': expected true or false.", param="stream", code="invalid_type")
    return replace(call, stream=_TRUTH[written])


def _parse_items(incoming: Incoming) -> Call:
    call = _parse(incoming, _OF_ITEMS)
    query: dict[str, Any] = dict(call.query)
    resource = sealed_ids.unseal(query, sealed_ids.QUERY, incoming.seal)
    if resource not in (None, call.resource):
        raise BadRequest(
            "The item is none of this response's: it belongs to another resource.", param="after", code="invalid_value"
        )
    opened: Query = tuple((key, query[key] if key in sealed_ids.QUERY else value) for key, value in call.query)
    return replace(call, query=opened)


def _no_body(call: Call, deployment: Deployment) -> bytes:
    return b""


def _seal_items(call: Call, payload: dict[str, Any]) -> bool:
    return responses_ids.seal(call, payload, sealed_ids.ITEMS)


def _free(call: Call) -> Usage:
    return Usage(0, 0)


def _none(payload: dict[str, Any]) -> int:
    return 0


def _stored(method: str, path: str, parse: Callable[[Incoming], Call], *replay: Replay) -> Proxied:
    return Proxied(
        upstream_path=path,
        modes=responses.MODES | {"batch"},  # a batch may have made it
        providers=responses.PROVIDERS,
        billing_unit=FREE,
        parse=parse,
        encode=_no_body,
        usage=responses.nothing,
        estimate=_free,
        completion_tokens=_none,
        body="none",
        replay=frozenset({Replay.FREELY, *replay}),
        method=method,
        catalog=responses.CATALOG,
        seal=responses.seal,
        scrub=responses_ids.scrub,
        files_told=sealed_ids.RESPONSE,
    )


AGAIN = (Replay.FAILED, *PERHAPS_DONE)
"""To ask once more changes nothing, and costs nothing."""
RETRIEVE = replace(_stored("GET", "responses/{id}", _parse_retrieve, *AGAIN), translator=StoredEvents)
DELETE = _stored("DELETE", "responses/{id}", _parse)
CANCEL = _stored("POST", "responses/{id}/cancel", _parse, *AGAIN)
INPUT_ITEMS = replace(
    _stored("GET", "responses/{id}/input_items", _parse_items, *AGAIN),
    seal=_seal_items,
    files_told=sealed_ids.ITEMS,
)
