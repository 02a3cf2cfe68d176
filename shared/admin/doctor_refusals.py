"""What Azure's refusal of a probe says of the configuration, and what to do; by status and code, never by prose.

A probe is a call that no model can work on, so its good answer is a refusal as well: a 400 that complains of the body
comes from the deployment itself.
"""

from __future__ import annotations

import re
from typing import Any

import orjson

from shared.admin.findings import Finding
from shared.upstream.answers import scrub
from shared.upstream.deployment import Deployment

USER = "Cognitive Services OpenAI User (5e0bd9bd-7b93-4f28-af87-19fc36ad61bd)"
CONTRIBUTOR = "Cognitive Services OpenAI Contributor (a001fd3d-188f-4b5d-821b-7da978bf7442)"
_AUTHORING = frozenset({"batches", "files", "fine_tuning"})
_ACTION = re.compile(r"Microsoft\.CognitiveServices/[A-Za-z/]+")
_NO_VERSION = re.compile(r"api.version", re.IGNORECASE)


def read_refusal(subject: str, deployment: Deployment, operation: str, status: int, body: bytes) -> Finding | None:
    """The finding that an answer other than a 2xx stands for; None when it proves that the deployment works."""
    code, message = _said(body)
    if status == 404 and code in {"DeploymentNotFound", "model_not_found"}:
        return Finding(
            "deployment",
            "error",
            subject,
            f"deployment does not exist: {deployment.name}",
            "Create it at the resource, or write the name of one that is there after azure/ in litellm_params.model; "
            "a new one takes up to 5 minutes to be seen.",
        )
    if status == 404 or (status == 400 and _NO_VERSION.search(f"{code} {message}")):
        return _not_served(subject, deployment, operation)
    if status in (401, 403):
        return _refused(subject, operation, status, code, message)
    if status == 400 and code == "OperationNotSupported":
        return Finding(
            "deployment",
            "error",
            subject,
            f"the model of {deployment.name} cannot do {operation}",
            "Set model_info.mode to what the deployment is for, or deploy another model.",
        )
    if status == 400 and "tenant" in message.lower():
        return Finding(
            "credential",
            "error",
            subject,
            "the token is of another tenant than the resource",
            "Set tenant_id to the resource's tenant, or use an identity of it.",
        )
    if status == 429:
        return Finding(
            "deployment",
            "warning",
            subject,
            "the deployment is at its rate limit at this moment",
            "Raise its quota, or add an alternate in another region or subscription.",
        )
    if status >= 500 or status == 408:
        return Finding(
            "reachable",
            "warning",
            subject,
            f"the resource answers {status}",
            "Look at Azure's status; ask again later.",
        )
    return None


def _not_served(subject: str, deployment: Deployment, operation: str) -> Finding:
    endpoint = deployment.endpoint
    if endpoint.provider == "openai":
        return Finding(
            "deployment",
            "error",
            subject,
            f"the model {deployment.name} is not there",
            "Correct litellm_params.model, or api_base where it is not OpenAI's own.",
        )
    return Finding(
        "api-version",
        "error",
        subject,
        f"api-version {endpoint.api_version} of {operation} is not served by this resource",
        "Remove api_version for the default, or set v1 or one that Azure lists; check the path in api_base as well.",
    )


def _refused(subject: str, operation: str, status: int, code: str, message: str) -> Finding:
    """Why a 401 or 403: a role, the credential, or the network."""
    action = _ACTION.search(message)
    if code == "PermissionDenied" or action is not None:
        role = CONTRIBUTOR if operation in _AUTHORING else USER
        lacks = f" (it lacks the data action {action[0]})" if action is not None else ""
        return Finding(
            "role",
            "error",
            subject,
            f"the identity has no role that allows {operation}{lacks}",
            f"Assign it {role} on the resource; an assignment takes some minutes to hold.",
        )
    if code == "AuthenticationTypeDisabled":
        return Finding(
            "credential",
            "error",
            subject,
            "the resource takes no keys (disableLocalAuth)",
            f"Remove api_key, so that the identity signs in, and assign it {USER}.",
        )
    if status == 403:
        return Finding(
            "network",
            "error",
            subject,
            f"the resource refuses the connection: {code or 403}: {scrub(message[:200])}",
            "Allow this app's network in the resource's firewall, or give the app a subnet and a private endpoint.",
        )
    return Finding(
        "credential",
        "error",
        subject,
        "the resource refuses the key or token",
        "Copy the key of this very resource, or check scope, tenant and expiry of the token.",
    )


def _said(body: bytes) -> tuple[str, str]:
    """Code and message of an error's body, "" where it has none."""
    try:
        payload = orjson.loads(body)
    except orjson.JSONDecodeError:
        return "", ""
    error: Any = payload.get("error") if isinstance(payload, dict) else None
    if not isinstance(error, dict):
        return "", ""
    code, message = error.get("code"), error.get("message")
    return "" if code is None else str(code), message if isinstance(message, str) else ""
