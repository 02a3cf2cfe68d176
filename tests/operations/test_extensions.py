"""camelCase dataSources in today's words; the old shapes are those of Microsoft's pages of 2023."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from shared.errors import BadRequest
from shared.operations.extensions import TYPES, translated

PAIRS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "search with a key": (
        {
            "type": "AzureCognitiveSearch",
            "parameters": {
                "endpoint": "https://s.search.windows.net",
                "key": "k",
                "indexName": "dams",
                "topNDocuments": 5,
                "inScope": True,
                "strictness": 3,
                "queryType": "vectorSemanticHybrid",
                "semanticConfiguration": "default",
                "roleInformation": "You are a dam.",
                "filter": None,
                "fieldsMapping": {
                    "titleField": "title",
                    "urlField": "url",
                    "filepathField": "path",
                    "contentFields": ["a", "b"],
                    "contentFieldsSeparator": "\n",
                    "vectorFields": ["v"],
                    "imageVectorFields": ["i"],
                },
                "embeddingDeploymentName": "ada",
            },
        },
        {
            "type": "azure_search",
            "parameters": {
                "endpoint": "https://s.search.windows.net",
                "index_name": "dams",
                "top_n_documents": 5,
                "in_scope": True,
                "strictness": 3,
                "query_type": "vector_semantic_hybrid",
                "semantic_configuration": "default",
                "role_information": "You are a dam.",
                "filter": None,
                "fields_mapping": {
                    "title_field": "title",
                    "url_field": "url",
                    "filepath_field": "path",
                    "content_fields": ["a", "b"],
                    "content_fields_separator": "\n",
                    "vector_fields": ["v"],
                    "image_vector_fields": ["i"],
                },
                "authentication": {"type": "api_key", "key": "k"},
                "embedding_dependency": {"type": "deployment_name", "deployment_name": "ada"},
            },
        },
    ),
    "search with an identity": (
        {
            "type": "AzureCognitiveSearch",
            "parameters": {
                "indexName": "i",
                "authentication": {
                    "type": "UserAssignedManagedIdentity",
                    "managedIdentityResourceId": "/subscriptions/1",
                },
                "embeddingDependency": {"type": "DeploymentName", "deploymentName": "ada"},
            },
        },
        {
            "type": "azure_search",
            "parameters": {
                "index_name": "i",
                "authentication": {
                    "type": "user_assigned_managed_identity",
                    "managed_identity_resource_id": "/subscriptions/1",
                },
                "embedding_dependency": {"type": "deployment_name", "deployment_name": "ada"},
            },
        },
    ),
    "cosmos": (
        {
            "type": "AzureCosmosDB",
            "parameters": {
                "authentication": {"type": "ConnectionString", "connectionString": "mongodb://"},
                "databaseName": "d",
                "containerName": "c",
                "indexName": "i",
                "embeddingEndpoint": "https://e",
                "embeddingKey": "ek",
            },
        },
        {
            "type": "azure_cosmos_db",
            "parameters": {
                "authentication": {"type": "connection_string", "connection_string": "mongodb://"},
                "database_name": "d",
                "container_name": "c",
                "index_name": "i",
                "embedding_dependency": {
                    "type": "endpoint",
                    "endpoint": "https://e",
                    "authentication": {"type": "api_key", "key": "ek"},
                },
            },
        },
    ),
    "elasticsearch": (
        {
            "type": "Elasticsearch",
            "parameters": {
                "endpoint": "https://e",
                "indexName": "i",
                "authentication": {"type": "KeyAndKeyId", "key": "k", "keyId": "id"},
                "embeddingDependency": {"type": "ModelId", "modelId": "m"},
            },
        },
        {
            "type": "elasticsearch",
            "parameters": {
                "endpoint": "https://e",
                "index_name": "i",
                "authentication": {"type": "key_and_key_id", "key": "k", "key_id": "id"},
                "embedding_dependency": {"type": "model_id", "model_id": "m"},
            },
        },
    ),
    "pinecone": (
        {"type": "Pinecone", "parameters": {"environment": "e", "authentication": {"type": "APIKey", "key": "k"}}},
        {"type": "pinecone", "parameters": {"environment": "e", "authentication": {"type": "api_key", "key": "k"}}},
    ),
    "cosmos with a connection string of its own": (
        {"type": "AzureCosmosDB", "parameters": {"connectionString": "mongodb://"}},
        {
            "type": "azure_cosmos_db",
            "parameters": {"authentication": {"type": "connection_string", "connection_string": "mongodb://"}},
        },
    ),
}


@pytest.mark.parametrize(("old", "new"), PAIRS.values(), ids=PAIRS)
def test_a_source_is_said_in_todays_words(old: dict[str, Any], new: dict[str, Any]) -> None:
    body = {"messages": [], "dataSources": [old]}
    before = copy.deepcopy(body)
    assert translated(body) == {"messages": [], "data_sources": [new]}
    assert body == before


@pytest.mark.parametrize("new", [new for _, new in PAIRS.values()], ids=PAIRS)
def test_a_source_in_todays_words_stays_as_it_is(new: dict[str, Any]) -> None:
    assert translated({"dataSources": [new]}) == {"data_sources": [new]}


def test_every_type_has_its_pair() -> None:
    assert {old["type"] for old, _ in PAIRS.values()} | {"AzureSearch"} == set(TYPES)


def test_a_body_without_the_old_words_is_not_touched() -> None:
    body = {"messages": [{"role": "user", "content": "dataSources"}], "data_sources": []}
    assert translated(body) is body


def test_nulls_say_nothing() -> None:
    assert translated({"dataSources": None, "enhancements": None, "n": 1}) == {"n": 1}


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"enhancements": {"ocr": {"enabled": True}}}, "enhancements"),
        ({"dataSources": [{"type": "AzureComputerVision", "parameters": {}}]}, "dataSources[0].type"),
        ({"dataSources": [{"type": "AzureMLIndex", "parameters": {}}]}, "dataSources[0].type"),
        ({"dataSources": [{"type": 5}]}, "dataSources[0].type"),
        ({"dataSources": [{}]}, "dataSources[0].type"),
        ({"dataSources": ["AzureCosmosDB"]}, "dataSources[0]"),
        ({"dataSources": {}}, "dataSources"),
        ({"dataSources": [{"type": "Pinecone"}]}, "dataSources[0].parameters"),
        ({"dataSources": [], "data_sources": []}, "dataSources"),
    ],
)
def test_what_has_no_translation_is_refused_by_name(body: dict[str, Any], param: str) -> None:
    with pytest.raises(BadRequest) as caught:
        translated(body)
    assert caught.value.param == param
