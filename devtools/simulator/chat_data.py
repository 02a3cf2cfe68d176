"""On Your Data and the vision enhancements of chat: which requests have them, and what they add to an answer.

The previews of 2023 take `dataSources` and `enhancements` on `/extensions`, later api-versions `data_sources`.
"""

from __future__ import annotations

from typing import Any

import orjson

from devtools.simulator import checks, errors

TYPES = ("azure_search", "azure_cosmos_db", "elasticsearch", "pinecone", "mongo_db")
TYPES_2023 = ("AzureCognitiveSearch", "AzureSearch", "AzureCosmosDB", "Elasticsearch", "Pinecone", "AzureMLIndex")
VISION = "AzureComputerVision"
CITATION = {
    "content": "Every reservoir has a spillway.",
    "title": "Dams",
    "url": "https://data.example/dams.html",
    "filepath": "dams.html",
    "chunk_id": "0",
}


def check(body: dict[str, Any]) -> None:
    """Raises AzureError 400 for a data source that is none."""
    for name, supported in (("dataSources", (*TYPES_2023, VISION)), ("data_sources", TYPES)):
        for index, source in enumerate(checks.listing(body, name)):
            kind = source.get("type") if isinstance(source, dict) else None
            if kind not in supported:
                raise errors.invalid_value(kind, supported, f"{name}[{index}].type")
            if kind != VISION and not isinstance(source.get("parameters"), dict):
                raise errors.missing_parameter(f"{name}[{index}].parameters")
    checks.mapping(body, "enhancements")


def context(body: dict[str, Any], question: str) -> dict[str, Any] | None:
    """`message.context` of an answer from data: what was found, and for which question."""
    if not body.get("data_sources") and not body.get("dataSources"):
        return None
    intent = orjson.dumps([question]).decode()
    if body.get("data_sources"):
        return {"citations": [CITATION], "intent": intent}
    if any(source["type"] != VISION for source in body.get("dataSources") or ()):
        found = orjson.dumps({"citations": [CITATION], "intent": intent}).decode()
        return {"messages": [{"role": "tool", "content": found, "end_turn": False}]}
    return None


def enhancements(body: dict[str, Any]) -> dict[str, Any] | None:
    """`enhancements` of a choice: grounding, when it is enabled."""
    grounding = checks.mapping(body, "enhancements").get("grounding")
    if not isinstance(grounding, dict) or not grounding.get("enabled"):
        return None
    return {"grounding": {"lines": [{"text": "", "spans": []}], "status": "Success"}}
