"""The errors of files, uploads, batches and fine-tuning.

Codes are the `ErrorCode` values of Azure's authoring specification; texts without a capture are inferred.
"""

from __future__ import annotations

from devtools.simulator.errors import AzureError, coded


def invalid_payload(message: str) -> AzureError:
    """The request is not what the operation takes."""
    return coded(400, "invalidPayload", message)


def not_found(kind: str, name: str) -> AzureError:
    """This resource has no such thing: it is another's, or deleted, or expired."""
    return coded(404, "notFound", f"The specified {kind} '{name}' could not be found.")


def quota_exceeded(message: str) -> AzureError:
    """A count of things that a resource may have is reached."""
    return coded(400, "quotaExceeded", message)


def conflict(message: str) -> AzureError:
    """The thing is in a state that does not allow the operation."""
    return coded(409, "conflict", message)


def token_limit(message: str) -> AzureError:
    """A batch is over the enqueued-token quota, at a resource that says so when the batch is created."""
    return AzureError(400, {"error": {"code": "token_limit_exceeded", "message": message, "param": None, "type": None}})
