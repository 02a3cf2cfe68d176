"""What can be done with a response after its creation: read it, stream it again, cancel it, delete it, list its input.

All of it happens at the resource that has it; any other answers 404.
"""

from __future__ import annotations

from typing import Any

import orjson

from devtools.simulator import checks, errors, responses_errors
from devtools.simulator.exchange import EVENT_STREAM, JSON, Call, Event, Reply
from devtools.simulator.responses_store import Stored

PAGE_DEFAULT = 20
PAGE_MAX = 100


async def serve_one(call: Call) -> Reply:
    """`GET responses/{id}`; with `stream=true` the events after `starting_after`."""
    stored = _stored(call)
    if call.request.query.get("stream") == "true":
        return _again(call, stored)
    return _json(stored.view(call.world.now()))


async def serve_delete(call: Call) -> Reply:
    """`DELETE responses/{id}`."""
    stored = _stored(call)
    if stored.background is not None:
        stored.background.settle(call.world.now())
    call.world.responses.delete(call.resource.name, call.params["id"])
    return _json({"id": call.params["id"], "object": "response", "deleted": True})


async def serve_cancel(call: Call) -> Reply:
    """`POST responses/{id}/cancel`: of a background response, once or more often; one at its end stays as it is."""
    stored = _stored(call)
    if stored.background is None:
        raise errors.invalid_request("Cannot cancel a synchronous response.")
    now = call.world.now()
    if stored.status(now) in ("queued", "in_progress"):
        stored.background.cancelled = now
    return _json(stored.view(now))


async def serve_items(call: Call) -> Reply:
    """`GET responses/{id}/input_items?limit&order&after&before`: everything that the model read."""
    items = list(_stored(call).context)
    query = call.request.query
    if checks.choice(query, "order", ("asc", "desc"), "desc") == "desc":
        items.reverse()
    limit = checks.integer({"limit": _number(query, "limit", PAGE_DEFAULT)}, "limit", 1, PAGE_MAX) or PAGE_DEFAULT
    ids = [item["id"] for item in items]
    first = ids.index(query["after"]) + 1 if query.get("after") in ids else 0
    last = ids.index(query["before"]) if query.get("before") in ids else len(items)
    page = items[first:last][:limit]
    return _json({
        "object": "list", "data": page, "first_id": page[0]["id"] if page else None,
        "last_id": page[-1]["id"] if page else None, "has_more": len(items[first:last]) > limit,
    })  # fmt: skip


def _stored(call: Call) -> Stored:
    stored = call.world.responses.get(call.resource.name, call.params["id"], call.world.time())
    if stored is None:
        raise responses_errors.response_not_found(call.params["id"])
    return stored


def _json(body: dict[str, Any]) -> Reply:
    return Reply(headers={"content-type": JSON}, body=orjson.dumps(body))


def _number(query: dict[str, str], name: str, default: int) -> int:
    value = query.get(name)
    if value is None:
        return default
    if not value.lstrip("-").isdecimal():
        raise errors.invalid_request(f"Invalid type for '{name}': expected an integer.", name, "invalid_type")
    return int(value)


def _again(call: Call, stored: Stored) -> Reply:
    """What has happened by now, at once, and the rest at the response's own pace."""
    if stored.events is None or stored.background is None:
        raise errors.invalid_request(
            "This response cannot be streamed because it was not created with background=true and stream=true.",
            "stream",
        )
    seen = _number(call.request.query, "starting_after", -1) + 1
    now = call.world.now()
    due = stored.due(now)
    cancelled = stored.background.cancelled is not None
    past = stored.events[seen : max(due, seen)]
    future = [] if cancelled else stored.events[max(due, seen) :]
    reply = Reply(headers={"content-type": EVENT_STREAM}, events=[], error_frame=responses_errors.error_frame)
    assert reply.events is not None
    if past:
        reply.events.append(Event(b"".join(event.data for event in past)))
    reply.events.extend(Event(event.data) for event in future)
    reply.delay_ms = stored.delay_s * 1000
    if future and not past:
        started = stored.background.started + stored.background.queue_s
        first = started + stored.background.run_s - stored.delay_s * (len(stored.events) - 1)
        reply.first_ms = max(0.0, first + stored.delay_s * max(due, seen) - now) * 1000
    return reply
