"""Every operation: the one table behind routes, spellings and docs."""

from __future__ import annotations

from shared.operations.chat import CHAT
from shared.operations.models import list_models, retrieve_model
from shared.operations.operation import Operation

CHAT_COMPLETIONS = Operation(
    name="chat_completions",
    method="POST",
    path="chat/completions",
    summary="Chat, streamed or whole, with tools, vision and structured outputs",
    deployment_scoped=True,
    proxied=CHAT,
)
MODELS_LIST = Operation(
    name="models_list", method="GET", path="models", summary="The models of the configuration", answer=list_models
)
MODELS_RETRIEVE = Operation(
    name="models_retrieve", method="GET", path="models/{*id}", summary="One model", answer=retrieve_model
)

OPERATIONS: tuple[Operation, ...] = (CHAT_COMPLETIONS, MODELS_LIST, MODELS_RETRIEVE)
