"""OpenAI's own models in the same model_list, for every operation, alone and beside Azure's.

The simulator's v1 surface plays OpenAI: below `/v1`, with OpenAI's kind of key, and nothing of Azure's in the address.
"""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from openai import OpenAI

from devtools.serving import Message, Scope, serving
from devtools.simulator import ControlClient, create_app

if TYPE_CHECKING:
    from tests.conftest import Running, Spillway

    Client = Callable[[Running], OpenAI]

OPERATIONS = (
    "chat_completions",
    "completions",
    "embeddings",
    "images_generations",
    "images_edits",
    "audio_speech",
    "audio_transcriptions",
    "audio_translations",
    "responses_create",
)
KEY = "sk-proj-openai-test"
MODELS = {
    "chat": "gpt-4o",
    "reasoning": "o4-mini",
    "instruct": "gpt-35-turbo-instruct",
    "embed": "text-embedding-3-small",
    "image": "gpt-image-1",
    "voice": "tts-1",
    "ear": "whisper",
}
ALONE = "model_list:\n" + "".join(
    f"  - model_name: {name}\n    litellm_params: {{model: openai/{model}, api_base: $OPENAI/v1, api_key: {KEY}}}\n"
    for name, model in MODELS.items()
)
MIXED = f"""
model_list:
  - model_name: gpt-4o
    litellm_params: {{model: azure/gpt-4o, api_base: $SIM/east, api_key: sim-key-east, order: 1}}
    model_info: {{id: at-azure}}
  - model_name: gpt-4o
    litellm_params: {{model: gpt-4o-mini, api_base: $OPENAI/v1, api_key: {KEY}, order: 2}}
    model_info: {{id: at-openai}}
"""
HELLO: list[Any] = [{"role": "user", "content": "hello"}]
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
SOUND = b"\xff\xfb" * 3000


@dataclass
class FakeOpenAI:
    """The simulator behind OpenAI's address and key; `seen` are the requests as OpenAI would see them."""

    url: str = ""
    sim: Any = None
    seen: list[dict[str, Any]] = field(default_factory=list)

    @property
    def one(self) -> dict[str, Any]:
        [only] = self.seen
        return only

    @property
    def body(self) -> dict[str, Any]:
        """The JSON of the only request."""
        [record] = self.sim.requests()
        sent: dict[str, Any] = orjson.loads(record["body"])
        return sent


@pytest.fixture
def fake() -> Iterator[FakeOpenAI]:
    made = FakeOpenAI()
    simulator = create_app()

    async def app(
        scope: Scope, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
    ) -> None:
        path = scope["path"]
        if path.startswith("/v1/"):
            headers = dict(scope["headers"])
            made.seen.append({"path": path, "query": scope["query_string"], "headers": dict(headers)})
            right = headers.pop(b"authorization", b"") == f"Bearer {KEY}".encode()
            headers[b"api-key"] = b"sim-key-east" if right else b"wrong"
            rest = f"/east/openai{path}"
            scope = {
                **scope,
                "path": rest,
                "raw_path": rest.encode(),
                "query_string": b"api-version=preview",
                "headers": list(headers.items()),
            }
        await simulator(scope, receive, send)

    with serving(app) as url, ControlClient(url) as control:
        made.url, made.sim = url, control
        yield made


@pytest.fixture
def run(spillway: Spillway, fake: FakeOpenAI) -> Running:
    """Spillway with OpenAI's models alone."""
    return spillway(ALONE.replace("$OPENAI", fake.url))


def assert_openais(fake: FakeOpenAI, path: str) -> None:
    """The only request is one of OpenAI's: its path, no api-version, a bearer and no api-key."""
    assert (fake.one["path"], fake.one["query"]) == (path, b"")
    assert fake.one["headers"][b"authorization"] == f"Bearer {KEY}".encode()
    assert b"api-key" not in fake.one["headers"]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_chat(run: Running, fake: FakeOpenAI, client: Client, stream: bool) -> None:
    answer: Any = client(run).chat.completions.create(model="chat", messages=HELLO, stream=stream)
    if stream:
        assert "".join(chunk.choices[0].delta.content or "" for chunk in answer if chunk.choices)
    else:
        assert answer.choices[0].message.content
    assert_openais(fake, "/v1/chat/completions")
    assert fake.body["model"] == "gpt-4o"
    [call], [line] = run.calls(), fake.sim.bill()
    assert (call["prompt_tokens"], call["completion_tokens"]) == (line["prompt_tokens"], line["completion_tokens"])


def test_a_name_without_a_prefix_is_openais(spillway: Spillway, fake: FakeOpenAI) -> None:
    run = spillway(ALONE.replace("openai/", "").replace("$OPENAI", fake.url))
    assert run.chat(model="chat").status_code == 200
    assert_openais(fake, "/v1/chat/completions")


def test_a_reasoning_model_gets_its_own_name_for_the_bound(run: Running, fake: FakeOpenAI) -> None:
    assert run.chat(model="reasoning", max_tokens=50).status_code == 200
    assert fake.body["max_completion_tokens"] == 50
    assert "max_tokens" not in fake.body


def test_completions(run: Running, fake: FakeOpenAI, client: Client) -> None:
    assert client(run).completions.create(model="instruct", prompt="Once").choices[0].text
    assert_openais(fake, "/v1/completions")


def test_embeddings(run: Running, fake: FakeOpenAI, client: Client) -> None:
    answer = client(run).embeddings.create(model="embed", input=["a", "b"])
    assert [len(one.embedding) for one in answer.data] == [1536, 1536]
    assert_openais(fake, "/v1/embeddings")


def test_images(run: Running, fake: FakeOpenAI, client: Client) -> None:
    answer = client(run).images.generate(model="image", prompt="a dam")
    assert answer.data is not None
    assert answer.data[0].b64_json
    assert_openais(fake, "/v1/images/generations")


def test_edits_of_images(run: Running, fake: FakeOpenAI, client: Client) -> None:
    answer = client(run).images.edit(model="image", prompt="more water", image=("dam.png", PNG, "image/png"))
    assert answer.data is not None
    assert answer.data[0].b64_json
    assert_openais(fake, "/v1/images/edits")


def test_speech(run: Running, fake: FakeOpenAI, client: Client) -> None:
    answer = client(run).audio.speech.create(model="voice", input="hello", voice="alloy")
    assert len(answer.read()) > 100
    assert_openais(fake, "/v1/audio/speech")


def test_transcriptions(run: Running, fake: FakeOpenAI, client: Client) -> None:
    answer = client(run).audio.transcriptions.create(model="ear", file=("a.mp3", SOUND, "audio/mpeg"))
    assert answer.text
    assert_openais(fake, "/v1/audio/transcriptions")


@pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")  # the openai package's own word
def test_translations(run: Running, fake: FakeOpenAI, client: Client) -> None:
    answer = client(run).audio.translations.create(model="ear", file=("a.mp3", SOUND, "audio/mpeg"))
    assert answer.text
    assert_openais(fake, "/v1/audio/translations")


def test_responses_and_what_follows_them(run: Running, fake: FakeOpenAI, client: Client) -> None:
    sdk = client(run)
    first = sdk.responses.create(model="chat", input="hello")
    assert first.output_text
    assert_openais(fake, "/v1/responses")
    second = sdk.responses.create(model="chat", input="and then?", previous_response_id=first.id)
    assert sdk.responses.retrieve(second.id).output_text == second.output_text
    assert [one["path"] for one in fake.seen[1:2]] == ["/v1/responses"]
    assert len(fake.seen) == 3


def test_a_wrong_key_is_the_gateways_own_affair(spillway: Spillway, fake: FakeOpenAI) -> None:
    run = spillway(ALONE.replace("$OPENAI", fake.url).replace(KEY, "sk-proj-another"))
    answer = run.chat(model="chat")
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "upstream_misconfigured")
    run.assert_discreet(answer.text)
    assert "sk-proj" not in answer.text


def test_openais_key_comes_from_its_own_variable(spillway: Spillway, fake: FakeOpenAI) -> None:
    config = "model_list:\n  - {model_name: chat, litellm_params: {model: gpt-4o}}\n"
    run = spillway(config, OPENAI_API_KEY=KEY, OPENAI_BASE_URL=fake.url + "/v1", AZURE_API_KEY="sim-key-east")
    assert run.chat(model="chat").status_code == 200
    assert_openais(fake, "/v1/chat/completions")


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("status", [429, 500, 503])
def test_what_azure_cannot_take_goes_to_openai(spillway: Spillway, fake: FakeOpenAI, status: int, stream: bool) -> None:
    run = spillway(MIXED.replace("$OPENAI", fake.url))
    run.sim.fault(status=status, times=None)
    answer = run.chat(stream=stream)
    assert answer.status_code == 200
    assert (answer.headers["x-spillway-model-id"], answer.headers["x-spillway-attempts"]) == ("at-openai", "2")
    assert_openais(fake, "/v1/chat/completions")
    assert fake.body["model"] == "gpt-4o-mini"
    assert [line["resource"] for line in run.sim.bill()] == []


def test_azure_comes_first_while_it_can(spillway: Spillway, fake: FakeOpenAI) -> None:
    run = spillway(MIXED.replace("$OPENAI", fake.url))
    assert run.chat().headers["x-spillway-model-id"] == "at-azure"
    assert fake.seen == []


def test_what_openai_cannot_take_goes_to_azure(spillway: Spillway, fake: FakeOpenAI) -> None:
    config = MIXED.replace("order: 2", "order: 0")
    run = spillway(config.replace("$OPENAI", fake.url))
    fake.sim.fault(status=429, times=None)
    answer = run.chat()
    assert (answer.status_code, answer.headers["x-spillway-model-id"]) == (200, "at-azure")


def test_when_both_are_full_the_sooner_retry_is_told(spillway: Spillway, fake: FakeOpenAI) -> None:
    run = spillway(MIXED.replace("$OPENAI", fake.url))
    for sim, ms in ((run.sim, "9000"), (fake.sim, "4000")):
        sim.fault(status=429, headers={"retry-after-ms": ms, "retry-after": str(int(ms) // 1000)}, times=None)
    answer = run.chat()
    assert (answer.status_code, answer.headers["retry-after-ms"]) == (429, "4000")


def test_both_kinds_are_listed_as_one_model(spillway: Spillway, fake: FakeOpenAI) -> None:
    run = spillway(MIXED.replace("$OPENAI", fake.url))
    assert [one["id"] for one in run.http.get("/v1/models").json()["data"]] == ["gpt-4o"]
