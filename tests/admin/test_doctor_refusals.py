"""What a refusal of a probe means, by the bodies that Azure sends."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import orjson
import pytest

from shared.admin.doctor_refusals import read_refusal
from shared.admin.findings import Finding
from shared.upstream.deployment import Deployment
from shared.upstream.endpoint import Endpoint

AZURE = Endpoint("azure", "https://r.openai.azure.com", "", "2024-10-21")
OPENAI = Endpoint("openai", "https://api.openai.com", "/v1")
PRINCIPAL = "11111111-2222-3333-4444-555555555555"
ACTION = "Microsoft.CognitiveServices/accounts/OpenAI/deployments/chat/completions/action"
LACKS = (
    f"The principal `{PRINCIPAL}` lacks the required data action `{ACTION}` to perform "
    "`POST /openai/deployments/{deployment-id}/chat/completions` operation."
)


def read(
    status: int, code: str | None = None, message: str = "", operation: str = "chat_completions", **more: Any
) -> Finding | None:
    deployment = cast(Deployment, SimpleNamespace(name="gpt4-o", endpoint=more.get("endpoint", AZURE)))
    body = orjson.dumps({"error": {"code": code, "message": message}})
    return read_refusal("model_list[0] (chat) gpt4-o", deployment, operation, status, body)


def found(*answer: Any, **more: Any) -> Finding:
    finding = read(*answer, **more)
    assert finding is not None
    return finding


def test_a_wrong_deployment_name_is_told_by_its_name() -> None:
    finding = found(404, "DeploymentNotFound", "The API deployment for this resource does not exist.")
    assert (finding.check, finding.severity) == ("deployment", "error")
    assert finding.found == "deployment does not exist: gpt4-o"
    assert "litellm_params.model" in finding.todo


@pytest.mark.parametrize("code", ["missing_required_parameter", "invalid_type", None, "BadRequest"])
def test_a_complaint_about_the_body_proves_that_the_deployment_is_there(code: str | None) -> None:
    assert read(400, code, "Invalid type for 'messages': expected an array.") is None


@pytest.mark.parametrize(
    ("status", "code", "message"),
    [(404, "404", "Resource not found"), (400, "BadRequest", "API version not supported")],
)
def test_an_api_version_that_is_not_served_is_named(status: int, code: str, message: str) -> None:
    finding = found(status, code, message)
    assert (finding.check, finding.severity) == ("api-version", "error")
    assert "2024-10-21" in finding.found


def test_a_missing_role_is_the_user_s_for_calls() -> None:
    finding = found(401, "PermissionDenied", "Principal does not have access to API/Operation.")
    assert (finding.check, finding.severity) == ("role", "error")
    assert "Cognitive Services OpenAI User (5e0bd9bd-7b93-4f28-af87-19fc36ad61bd)" in finding.todo


def test_a_missing_role_is_the_contributor_s_for_batches() -> None:
    finding = found(401, "PermissionDenied", "Principal does not have access to API/Operation.", operation="batches")
    assert "Cognitive Services OpenAI Contributor (a001fd3d-188f-4b5d-821b-7da978bf7442)" in finding.todo


def test_the_data_action_that_lacks_is_told_and_the_principal_is_not() -> None:
    finding = found(401, "PermissionDenied", LACKS)
    assert ACTION in finding.found
    assert PRINCIPAL not in finding.found + finding.todo


def test_a_wrong_key_is_a_wrong_key() -> None:
    finding = found(401, "401", "Access denied due to invalid subscription key or wrong API endpoint.")
    assert (finding.check, finding.severity) == ("credential", "error")


def test_a_resource_that_takes_no_keys_says_so() -> None:
    finding = found(403, "AuthenticationTypeDisabled", "Key based authentication is disabled for this resource.")
    assert (finding.check, "disableLocalAuth" in finding.found) == ("credential", True)


def test_a_firewall_is_told_without_the_host() -> None:
    message = "Access denied due to Virtual Network/Firewall rules at https://r.openai.azure.com/x."
    finding = found(403, "403", message)
    assert finding.check == "network"
    assert "r.openai.azure.com" not in finding.found


def test_a_mode_that_the_model_does_not_have_is_told() -> None:
    finding = found(400, "OperationNotSupported", "The embeddings operation does not work", operation="embeddings")
    assert (finding.check, "cannot do embeddings" in finding.found) == ("deployment", True)


@pytest.mark.parametrize(("status", "check"), [(429, "deployment"), (500, "reachable"), (503, "reachable")])
def test_what_may_pass_is_a_warning(status: int, check: str) -> None:
    finding = found(status, str(status))
    assert (finding.check, finding.severity) == (check, "warning")


def test_a_model_that_openai_does_not_have_is_told() -> None:
    finding = found(404, "model_not_found", "The model does not exist", operation="models", endpoint=OPENAI)
    assert finding.found == "deployment does not exist: gpt4-o"


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"error": "x"}'])
def test_a_body_that_is_no_error_object_is_judged_by_its_status(body: bytes) -> None:
    deployment = cast(Deployment, SimpleNamespace(name="d", endpoint=AZURE))
    finding = read_refusal("s", deployment, "chat_completions", 401, body)
    assert finding is not None
    assert finding.check == "credential"
