"""`POST /v1/responses`, `/v1/responses/compact` and `/v1/responses/input_tokens`.

What a request carries of earlier responses binds it to the resource that has them (responses_ids.py).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from shared import sealed_ids
from shared.errors import BadRequest
from shared.operations import responses_ids
from shared.operations.attached import RESPONSE_FILES
from shared.operations.encoding import encode
from shared.operations.operation import FREE, TEXT, Call, Incoming, Proxied
from shared.operations.parsing import asked_tier, boolean, call_of, stream_options, wrong_type
from shared.operations.responses_events import ResponseEvents, failure_of, going_on
from shared.operations.responses_simulated import streamed_response
from shared.usage.estimate import response_output_tokens, response_prompt_tokens
from shared.usage.usage import Usage, response_usage

CATALOG = "responses"
MODES = frozenset({"chat", "responses"})
PROVIDERS = frozenset({"azure", "openai"})
_ASKING = ("input", "previous_response_id", "prompt", "conversation")
"""One of these says what the model is to answer."""


def parse(incoming: Incoming) -> Call:
    """A Call of a request for a response. Raises BadRequest, or NotFound for an id that is not this caller's."""
    call = _parsed(incoming, streams=True)
    for name in ("background", "store"):
        boolean(call.body, name)
    stream_options(call.body, stream=call.stream)
    return call


def _parse_whole(incoming: Incoming) -> Call:
    return _parsed(incoming, streams=False)


def _parsed(incoming: Incoming, *, streams: bool) -> Call:
    call = call_of(incoming, streams=streams)
    body = call.body
    given = body.get("input")
    if given is not None and not isinstance(given, str | list):
        raise wrong_type("input", "a string or an array", given)
    if all(body.get(name) is None for name in _ASKING):
        raise BadRequest(
            f"Missing required parameter: one of {', '.join(f'`{name}`' for name in _ASKING)}.",
            param="input",
            code="missing_required_parameter",
        )
    previous = body.get("previous_response_id")
    if previous is not None and not isinstance(previous, str):
        raise wrong_type("previous_response_id", "a string", previous)
    return replace(call, resource=sealed_ids.unseal(body, sealed_ids.REQUEST, incoming.seal))


def _estimate(call: Call) -> Usage:
    return Usage(response_prompt_tokens(call.body, call.pictures), 0, source="estimated", tier=asked_tier(call))


def seal(call: Call, payload: dict[str, Any]) -> bool:
    """Seals the ids of a response."""
    return responses_ids.seal(call, payload, sealed_ids.RESPONSE)


def nothing(payload: Any) -> Usage:
    """The usage of what costs nothing."""
    return Usage(0, 0)


CREATE = Proxied(
    upstream_path="responses",
    modes=MODES,
    providers=PROVIDERS,
    billing_unit="tokens",
    parse=parse,
    encode=encode,
    usage=response_usage,
    estimate=_estimate,
    completion_tokens=response_output_tokens,
    translator=ResponseEvents,
    simulate=streamed_response,
    catalog=CATALOG,
    seal=seal,
    replay=TEXT,
    failed=failure_of,
    goes_on=going_on,
    scrub=responses_ids.scrub,
    files=RESPONSE_FILES,
    files_told=sealed_ids.RESPONSE,
)
COMPACT = replace(CREATE, upstream_path="responses/compact", parse=_parse_whole, translator=None, failed=None)
INPUT_TOKENS = replace(
    COMPACT,
    upstream_path="responses/input_tokens",
    billing_unit=FREE,
    usage=nothing,
)
