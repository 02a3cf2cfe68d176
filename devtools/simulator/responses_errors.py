"""The error answers of the Responses API, in the words of reports from Azure where there are any."""

from __future__ import annotations

from typing import Any

import orjson

from devtools.simulator import errors
from devtools.simulator.errors import AzureError


def _not_found(message: str) -> AzureError:
    body = {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": None}}
    return AzureError(404, body)


def response_not_found(response_id: str) -> AzureError:
    """GET, DELETE, cancel or input_items of an id that this resource does not have."""
    return _not_found(f"Response with id '{response_id}' not found.")


def previous_not_found(response_id: str) -> AzureError:
    """`previous_response_id` of an id that this resource does not have: a 400, as several reports from Azure show."""
    return errors.invalid_request(
        f"Previous response with id '{response_id}' not found.", "previous_response_id", "previous_response_not_found"
    )


def item_not_found(item_id: str) -> AzureError:
    """An item named by its id only, which this resource does not have (a 400 in reports from Azure)."""
    return errors.invalid_request(
        f"Item with id '{item_id}' not found. Items are not persisted when `store` is set to false. Try again with "
        "`store` set to true, or remove this item from your input.",
        "input",
    )


def container_not_found(container_id: str) -> AzureError:
    """A code interpreter's container that this resource does not have (inferred)."""
    return _not_found(f"Container with id '{container_id}' not found.")


def invalid_encrypted_content(blob: str) -> AzureError:
    """Encrypted content that this resource did not write."""
    return errors.invalid_request(
        f"The encrypted content {blob[:4]}...{blob[-4:]} could not be verified.", None, "invalid_encrypted_content"
    )


def no_such_call(call_id: str) -> AzureError:
    return errors.invalid_request(f"No tool call found for function call output with call_id {call_id}.", "input")


def no_output_for(call_id: str) -> AzureError:
    return errors.invalid_request(f"No tool output found for function call {call_id}.", "input")


def error_frame(error: dict[str, Any], sequence: int) -> bytes:
    """An error as an event of a Responses stream, as captures of Azure's show it.

    `error` is `{"error": {...}}` as elsewhere, or a whole event with a `type` of its own.
    """
    if "type" in error:
        return b"event: %s\ndata: %s\n\n" % (str(error["type"]).encode(), orjson.dumps(error))
    inner = {"headers": {"x-ms-fe-error": "true"}, **error.get("error", error)}
    event = {"type": "error", "error": inner, "sequence_number": max(1, sequence)}
    return b"event: error\ndata: " + orjson.dumps(event) + b"\n\n"
