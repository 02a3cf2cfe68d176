"""`dataSources` and `enhancements`, the camelCase of Azure's retired `/extensions` path, in today's words.

Where the entry's address itself says `/extensions`, such a body is sent as it is, at the last api-version that has the
path. Everywhere else `dataSources` becomes `data_sources` (api-versions since 2024-02-01), whose names and enum values
are snake_case. Vision's `enhancements` and its data source AzureComputerVision went without a successor: a 400.

Sources: Azure/azure-rest-api-specs, AzureOpenAI/inference, preview/2023-12-01-preview and stable/2024-02-01; Microsoft,
"Azure OpenAI On Your Data API Reference".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from shared.errors import BadRequest
from shared.operations.parsing import wrong_type

FIELDS = frozenset({"dataSources", "enhancements"})
TYPES = {
    "AzureCognitiveSearch": "azure_search",
    "AzureSearch": "azure_search",
    "AzureCosmosDB": "azure_cosmos_db",
    "Elasticsearch": "elasticsearch",
    "Pinecone": "pinecone",
}
"""AzureMLIndex and AzureComputerVision have no successor."""
_AUTHENTICATION = {
    "APIKey": "api_key",
    "ConnectionString": "connection_string",
    "KeyAndKeyId": "key_and_key_id",
    "EncodedAPIKey": "encoded_api_key",
    "AccessToken": "access_token",
    "SystemAssignedManagedIdentity": "system_assigned_managed_identity",
    "UserAssignedManagedIdentity": "user_assigned_managed_identity",
}
_DEPENDENCIES = {"DeploymentName": "deployment_name", "Endpoint": "endpoint", "ModelId": "model_id"}
_QUERIES = {"vectorSimpleHybrid": "vector_simple_hybrid", "vectorSemanticHybrid": "vector_semantic_hybrid"}
_MAPPINGS = frozenset({"fields_mapping", "authentication", "embedding_dependency"})
_WORD = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def translated(body: dict[str, Any]) -> dict[str, Any]:
    """`body` in today's words; the very same object when it holds none of the old ones. The input is not changed.

    Raises BadRequest for what has no successor, and for a body that uses old and new words at once.
    """
    if FIELDS.isdisjoint(body):
        return body
    if body.get("enhancements") is not None:
        raise _gone("enhancements", "`enhancements`")
    rest = {name: value for name, value in body.items() if name not in FIELDS}
    sources = body.get("dataSources")
    if sources is None:
        return rest
    if not isinstance(sources, list):
        raise wrong_type("dataSources", "an array", sources)
    if "data_sources" in body:
        raise BadRequest(
            "`dataSources` and `data_sources` are the same; send `data_sources`.",
            param="dataSources",
            code="invalid_value",
        )
    return {**rest, "data_sources": [_source(one, f"dataSources[{i}]") for i, one in enumerate(sources)]}


def _source(source: Any, at: str) -> dict[str, Any]:
    if not isinstance(source, dict):
        raise wrong_type(at, "an object", source)
    kind = source.get("type")
    if not isinstance(kind, str) or kind not in {*TYPES, *TYPES.values()}:
        shown = f"The data source `{kind}`" if isinstance(kind, str) and kind.isalnum() else "This data source"
        raise _gone(f"{at}.type", shown[:100])
    parameters = source.get("parameters")
    if not isinstance(parameters, dict):
        raise wrong_type(f"{at}.parameters", "an object", parameters)
    return {**source, "type": TYPES.get(kind, kind), "parameters": _parameters(parameters)}


def _parameters(old: Mapping[str, Any]) -> dict[str, Any]:
    new = _snake_keys(old)
    _fold_key(new)
    _fold_embedding(new)
    if isinstance(new.get("query_type"), str):
        new["query_type"] = _QUERIES.get(new["query_type"], new["query_type"])
    return new


def _fold_key(new: dict[str, Any]) -> None:
    """`key`, and Cosmos DB's `connectionString`, were parameters of their own; now they are an `authentication`."""
    for name in ("key", "connection_string"):
        value = new.pop(name, None)
        if value is not None and "authentication" not in new:
            kind = "api_key" if name == "key" else name
            new["authentication"] = {"type": kind, name: value}


def _fold_embedding(new: dict[str, Any]) -> None:
    """`embeddingDeploymentName`, and `embeddingEndpoint` with `embeddingKey`, are now an `embedding_dependency`."""
    deployment = new.pop("embedding_deployment_name", None)
    endpoint, key = new.pop("embedding_endpoint", None), new.pop("embedding_key", None)
    if "embedding_dependency" in new:
        return
    if deployment is not None:
        new["embedding_dependency"] = {"type": "deployment_name", "deployment_name": deployment}
    elif endpoint is not None:
        signed = {"authentication": {"type": "api_key", "key": key}} if key is not None else {}
        new["embedding_dependency"] = {"type": "endpoint", "endpoint": endpoint, **signed}


def _snake_keys(old: Mapping[str, Any], inside: str = "") -> dict[str, Any]:
    new: dict[str, Any] = {}
    for name, value in old.items():
        key = _WORD.sub("_", name).lower()
        if key in _MAPPINGS and isinstance(value, dict):
            value = _snake_keys(value, key)
        elif key == "type" and inside == "authentication" and isinstance(value, str):
            value = _AUTHENTICATION.get(value, value)
        elif key == "type" and inside == "embedding_dependency" and isinstance(value, str):
            value = _DEPENDENCIES.get(value, value)
        new[key] = value
    return new


def _gone(param: str, what: str) -> BadRequest:
    return BadRequest(
        f"{what} is not available at this model's address: Azure took it away with api-version 2024-04-01-preview. "
        "Only an api_base that ends in /extensions is sent it.",
        param=param,
        code="unsupported_parameter",
    )
