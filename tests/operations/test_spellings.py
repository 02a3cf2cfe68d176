from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import MethodNotAllowed, UnknownPath
from shared.operations.spellings import Spellings
from shared.operations.table import CHAT_COMPLETIONS, MODELS_LIST, MODELS_RETRIEVE, OPERATIONS

SPELLINGS = Spellings(OPERATIONS)
CHAT = "chat_completions"


@pytest.mark.parametrize(
    ("path", "operation", "model"),
    [
        ("v1/chat/completions", CHAT, None),
        ("/v1/chat/completions", CHAT, None),
        ("/v1/chat/completions/", CHAT, None),
        ("//v1/chat/completions//", CHAT, None),
        ("/chat/completions", CHAT, None),
        ("/openai/v1/chat/completions", CHAT, None),
        ("/openai/chat/completions", CHAT, None),
        ("/openai/deployments/gpt-4o/chat/completions", CHAT, "gpt-4o"),
        ("/openai/deployments/gpt-4o/chat/completions/", CHAT, "gpt-4o"),
        ("/openai/deployments/gpt-4o/extensions/chat/completions", CHAT, "gpt-4o"),
        ("/openai/deployments/My.GPT_4o/chat/completions", CHAT, "My.GPT_4o"),
        ("/openai/deployments/azure/gpt-4o/chat/completions", CHAT, "azure/gpt-4o"),
        ("/deployments/gpt-4o/chat/completions", CHAT, "gpt-4o"),
        ("/engines/gpt-4o/chat/completions", CHAT, "gpt-4o"),
        ("/v1/engines/gpt-4o/chat/completions", CHAT, "gpt-4o"),
        ("/engines/azure/gpt-4o/chat/completions", CHAT, "azure/gpt-4o"),
        ("/engines/a/b/c/chat/completions", CHAT, "a/b/c"),
        ("/engines/chat/chat/completions", CHAT, "chat"),
        ("/engines/chat/completions/chat/completions", CHAT, "chat/completions"),
        ("/V1/Chat/Completions", CHAT, None),
        ("/OpenAI/Deployments/gpt-4o/Chat/Completions", CHAT, "gpt-4o"),
        ("/openai/deployments/gpt-4o/Extensions/chat/completions", CHAT, "gpt-4o"),
        ("/ENGINES/GPT-4o/CHAT/COMPLETIONS", CHAT, "GPT-4o"),
    ],
)
def test_every_spelling_of_chat(path: str, operation: str, model: str | None) -> None:
    found = SPELLINGS.match("POST", path)
    assert (found.operation.name, found.model) == (operation, model)


@pytest.mark.parametrize("prefix", ["/v1/", "/", "/openai/v1/", "/openai/", "/OPENAI/V1/"])
def test_every_spelling_of_the_list_of_models(prefix: str) -> None:
    assert SPELLINGS.match("GET", f"{prefix}models").operation is MODELS_LIST


@pytest.mark.parametrize("prefix", ["/v1/", "/", "/openai/v1/", "/openai/"])
@pytest.mark.parametrize("model", ["gpt-4o", "azure/gpt-4o", "GPT-4o", "a b", "models", "模型"])
def test_every_spelling_of_one_model_keeps_its_name(prefix: str, model: str) -> None:
    found = SPELLINGS.match("GET", f"{prefix}models/{model}")
    assert (found.operation, found.params) == (MODELS_RETRIEVE, {"id": model})


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "/v1",
        "/v1/",
        "/chat",
        "/v1/chat/completion",
        "/v1/chat/completions/x",
        "/v1//chat/completions",
        "/v1/chat//completions",
        "/v1/v1/chat/completions",
        "/openai/openai/chat/completions",
        "/openai/deployments/gpt-4o",
        "/openai/deployments//chat/completions",
        "/openai/deployments/gpt-4o/models",
        "/engines//chat/completions",
        "/engines/chat/completion",
        "/engines/gpt-4o/models",
        "/xv1/chat/completions",
        "/v1/chat/completions\n",
        "/v1/chat/completions?x=1",
    ],
)
def test_a_path_that_is_none(path: str) -> None:
    with pytest.raises(UnknownPath, match="Unknown request URL: POST /"):
        SPELLINGS.match("POST", path)


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("GET", "/v1/chat/completions", "POST"),
        ("DELETE", "/openai/deployments/gpt-4o/chat/completions", "POST"),
        ("POST", "/v1/models", "GET"),
        ("DELETE", "/v1/models/gpt-4o", "GET"),
        ("OPTIONS", "/engines/gpt-4o/chat/completions", "POST"),
    ],
)
def test_a_wrong_method_is_told_the_right_one(method: str, path: str, allow: str) -> None:
    with pytest.raises(MethodNotAllowed) as caught:
        SPELLINGS.match(method, path)
    assert caught.value.headers()["allow"] == allow


def test_a_refusal_shows_at_most_a_part_of_a_long_path() -> None:
    with pytest.raises(UnknownPath) as caught:
        SPELLINGS.match("GET", "/x" * 5000)
    assert len(caught.value.message) < 300


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: one.name)
def test_every_operation_is_found_on_its_own_route(operation: object) -> None:
    assert operation in OPERATIONS
    for one in OPERATIONS:
        path = one.route.replace("{*id}", "x")
        assert SPELLINGS.match(one.method, path).operation is one


def test_two_methods_on_one_path_are_two_operations() -> None:
    assert len({(one.method, one.path) for one in OPERATIONS}) == len(OPERATIONS)


@given(st.text(min_size=1, max_size=20).filter(lambda name: name.strip("/") == name and "//" not in name))
def test_any_model_name_survives_an_azure_style_path(name: str) -> None:
    if "chat/completions" in name.lower() or name.lower().endswith("/extensions"):
        return
    found = SPELLINGS.match("POST", f"/openai/deployments/{name}/chat/completions")
    assert (found.operation, found.model) == (CHAT_COMPLETIONS, name)
