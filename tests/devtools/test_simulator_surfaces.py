from __future__ import annotations

import httpx
import pytest

HELLO = {"messages": [{"role": "user", "content": "hello"}]}
NOT_FOUND = {"error": {"code": "404", "message": "Resource not found"}}


def classic(version: str | None, tail: str = "gpt-4o/chat/completions") -> str:
    query = f"?api-version={version}" if version else ""
    return f"/east/openai/deployments/{tail}{query}"


@pytest.mark.parametrize("version", ["2023-05-15", "2024-10-21", "2023-03-15-preview", "2025-04-01-preview"])
def test_chat_works_in_api_version(http: httpx.Client, version: str) -> None:
    assert http.post(classic(version), json=HELLO).status_code == 200


@pytest.mark.parametrize("version", [None, "2022-12-01", "2024-10-22", "2024-10-21-preview", "v1", "latest"])
def test_classic_chat_is_not_found_in_api_version(http: httpx.Client, version: str | None) -> None:
    response = http.post(classic(version), json=HELLO)
    assert (response.status_code, response.json()) == (404, NOT_FOUND)


@pytest.mark.parametrize("query", ["", "?api-version=v1", "?api-version=preview"])
def test_v1_takes_its_deployment_from_the_body(http: httpx.Client, query: str) -> None:
    response = http.post(f"/east/openai/v1/chat/completions{query}", json={**HELLO, "model": "my-o3-deployment"})
    assert response.json()["model"] == "o3-2025-04-16"


def test_v1_refuses_a_dated_api_version(http: httpx.Client) -> None:
    response = http.post("/east/openai/v1/chat/completions?api-version=2024-10-21", json={**HELLO, "model": "gpt-4o"})
    assert (response.status_code, response.json()["error"]["code"]) == (400, "BadRequest")


def test_v1_needs_a_model(http: httpx.Client) -> None:
    assert http.post("/east/openai/v1/chat/completions", json=HELLO).json()["error"]["param"] == "model"


def test_on_classic_the_path_decides_and_the_body_model_is_ignored(http: httpx.Client) -> None:
    response = http.post(classic("2024-10-21", "demo1-gpt4o/chat/completions"), json={**HELLO, "model": "gpt-5"})
    assert response.json()["model"] == "gpt-4o-2024-08-06"
    assert response.headers["x-ms-deployment-name"] == "demo1-gpt4o"


@pytest.mark.parametrize(("version", "status"), [
    ("2023-06-01-preview", 200), ("2023-12-01-preview", 200), ("2023-03-15-preview", 404), ("2024-02-15-preview", 404),
    ("2023-05-15", 404),
])  # fmt: skip
def test_the_extensions_surface_lives_in_the_previews_of_2023(http: httpx.Client, version: str, status: int) -> None:
    body = {**HELLO, "dataSources": [{"type": "AzureComputerVision"}], "enhancements": {"ocr": {"enabled": True}}}
    path = classic(version, "gpt-4o/extensions/chat/completions")
    assert http.post(path, json=body).status_code == status


@pytest.mark.parametrize("path", [
    "/east/openai/deployments/gpt-4o/nothing?api-version=2024-10-21",
    "/east/openai/deployments/gpt-4o?api-version=2024-10-21",
    "/east/openai/deployments?api-version=2024-10-21",
    "/east/openai/v1/deployments/gpt-4o/chat/completions",
    "/east/openai/chat/completions?api-version=2024-10-21",
    "/nowhere/openai/v1/chat/completions",
    "/east/openai/deployments/gpt-4o%2Fchat%2Fcompletions?api-version=2024-10-21",
    "/",
])  # fmt: skip
def test_an_unknown_path_is_a_resource_not_found(http: httpx.Client, path: str) -> None:
    response = http.post(path, json={**HELLO, "model": "gpt-4o"})
    assert (response.status_code, response.json()) == (404, NOT_FOUND)


def test_a_method_that_the_path_does_not_have_is_a_resource_not_found(http: httpx.Client) -> None:
    assert http.get(classic("2024-10-21")).json() == NOT_FOUND


def test_an_unknown_deployment_has_its_own_404(http: httpx.Client) -> None:
    for response in (
        http.post(classic("2024-10-21", "gpt-9/chat/completions"), json=HELLO),
        http.post("/east/openai/v1/chat/completions", json={**HELLO, "model": "gpt-9"}),
    ):
        assert (response.status_code, response.json()["error"]["code"]) == (404, "DeploymentNotFound")


def test_chat_on_an_embedding_deployment_is_not_supported(http: httpx.Client) -> None:
    error = http.post(classic("2024-10-21", "text-embedding-3-small/chat/completions"), json=HELLO).json()["error"]
    assert error["code"] == "OperationNotSupported"
    assert error["message"].startswith(
        "The chatCompletion operation does not work with the specified model, text-embedding-3-small. Please choose"
    )


def test_stream_options_need_an_api_version_that_has_them(http: httpx.Client) -> None:
    body = {**HELLO, "stream": True, "stream_options": {"include_usage": True}}
    old = http.post(classic("2024-06-01"), json=body)
    assert (old.status_code, old.json()) == (400, {"error": {
        "message": "Unrecognized request argument supplied: stream_options",
        "type": "invalid_request_error", "param": None, "code": None,
    }})  # fmt: skip
    assert http.post(classic("2024-09-01-preview"), json=body).status_code == 200
    assert http.post(classic("2024-10-21"), json=body).status_code == 200


def test_json_schema_needs_an_api_version_that_has_it(http: httpx.Client) -> None:
    body = {**HELLO, "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {}}}}
    assert "2024-08-01-preview and later" in http.post(classic("2024-06-01"), json=body).json()["error"]["message"]
    assert http.post(classic("2024-08-01-preview"), json=body).status_code == 200


def test_v1_names_an_unknown_parameter(http: httpx.Client) -> None:
    body = {**HELLO, "model": "gpt-4o", "api_base": "https://elsewhere"}
    error = http.post("/east/openai/v1/chat/completions", json=body).json()["error"]
    assert (error["code"], error["param"]) == ("unknown_parameter", "api_base")


def test_every_answer_has_azures_headers(http: httpx.Client) -> None:
    response = http.post(classic("2024-10-21"), json=HELLO, headers={"x-ms-client-request-id": "mine"})
    headers = response.headers
    assert len(headers["apim-request-id"]) == 36
    assert headers["x-ms-client-request-id"] == "mine"
    assert headers["x-ms-region"] == "East US"
    assert headers["x-ms-rai-invoked"] == "true"
    assert headers["azureml-model-session"]
    assert headers["x-request-id"] != headers["apim-request-id"]
    assert http.get("/sweden/openai/v1/nothing", headers={"api-key": "sim-key-sweden"}).headers["x-ms-region"] == (
        "Sweden Central"
    )


def test_more_than_ten_custom_headers_are_refused(http: httpx.Client) -> None:
    standard = {"x-stainless-lang": "python", "x-ms-test": "1", "x-request-id": "2"}
    ten = {f"x-custom-{number}": "1" for number in range(10)} | standard
    assert http.post(classic("2024-10-21"), json=HELLO, headers=ten).status_code == 200
    assert http.post(classic("2024-10-21"), json=HELLO, headers={**ten, "x-eleven": "1"}).status_code == 431


def test_classic_models_have_azures_shape_and_list_no_deployments(http: httpx.Client) -> None:
    models = http.get("/east/openai/models?api-version=2024-10-21").json()["data"]
    assert {"id", "status", "capabilities", "lifecycle_status", "deprecation", "created_at", "object"} == set(models[0])
    assert "demo1-gpt4o" not in {model["id"] for model in models}


def test_v1_models_have_openais_shape(http: httpx.Client) -> None:
    models = http.get("/east/openai/v1/models").json()
    assert models["object"] == "list"
    assert set(models["data"][0]) == {"id", "created", "object", "owned_by"}
    assert http.get("/east/openai/v1/models/gpt-4o").json()["id"] == "gpt-4o-2024-08-06"
    assert http.get("/east/openai/v1/models/gpt-9").json() == NOT_FOUND
