"""What a client may get wrong: each mistake has one OpenAI-style answer, and nothing of it reaches an upstream."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx
import openai
import orjson
import pytest
from openai import OpenAI

if TYPE_CHECKING:
    from tests.conftest import Running, Spillway

CONFIG = """
model_list:
  - model_name: gpt-4o
    litellm_params: {model: azure/gpt-4o, api_base: $SIM/east, api_key: sim-key-east, api_version: "2024-10-21"}
  - model_name: embed
    litellm_params: {model: azure/text-embedding-3-small, api_base: $SIM/east, api_key: sim-key-east}
    model_info: {mode: embedding}
  - model_name: voice
    litellm_params: {model: azure/tts, api_base: $SIM/east, api_key: sim-key-east}
    model_info: {mode: audio_speech}
  - model_name: paint
    litellm_params: {model: azure/gpt-image-1, api_base: $SIM/east, api_key: sim-key-east}
    model_info: {mode: image_generation}
  - model_name: paint-2
    litellm_params: {model: azure/gpt-image-2, api_base: $SIM/east, api_key: sim-key-east}
  - model_name: dalle
    litellm_params: {model: azure/dall-e-3, api_base: $SIM/east, api_key: sim-key-east}
  - model_name: whisper
    litellm_params: {model: azure/whisper, api_base: $SIM/east, api_key: sim-key-east}
    model_info: {mode: audio_transcription}
  - model_name: talk
    litellm_params: {model: azure/azure-openai-4o-audio, api_base: $SIM/east, api_key: sim-key-east}
    model_info: {base_model: gpt-4o-audio-preview}
  - model_name: my-own
    litellm_params: {model: azure/tts, api_base: $SIM/east, api_key: sim-key-east}
    model_info: {mode: audio_speech, base_model: a-model-of-our-own}
"""
CHAT = "/v1/chat/completions"
MESSAGES = [{"role": "user", "content": "hello"}]
GOOD = orjson.dumps({"model": "gpt-4o", "messages": MESSAGES})
MB = 1024 * 1024


def body(**values: Any) -> bytes:
    """A good chat request with these fields; `...` leaves one out."""
    fields = {"model": "gpt-4o", "messages": MESSAGES, **values}
    return orjson.dumps({name: value for name, value in fields.items() if value is not ...})


def speech(**values: Any) -> bytes:
    return orjson.dumps({"model": "voice", "input": "Hello.", "voice": "alloy", **values})


def image(**values: Any) -> bytes:
    return orjson.dumps({"model": "paint", "prompt": "a cat", **values})


def form(file: tuple[str, bytes], **fields: str) -> bytes:
    """A multipart form with one file, whose field and bytes are given."""
    parts = [f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}' for name, value in fields.items()]
    name, data = file
    head = f'--b\r\nContent-Disposition: form-data; name="{name}"; filename="a"\r\n\r\n'
    return "\r\n".join([*parts, head]).encode() + data + b"\r\n--b--\r\n"


def nested(depth: int) -> bytes:
    return b'{"model":"gpt-4o","messages":' + b"[" * depth + b"]" * depth + b"}"


def large() -> bytes:
    return body(messages=[{"role": "user", "content": "x" * 25 * MB}])


def chunked() -> Iterator[bytes]:
    whole = large()
    for start in range(0, len(whole), MB):
        yield whole[start : start + MB]


@dataclass(frozen=True)
class Mistake:
    """One bad request and the error that answers it. Without `key` the request has no `Authorization`."""

    status: int
    code: str
    content: bytes | Callable[[], Any] = GOOD
    param: str | None = None
    path: str = CHAT
    method: str = "POST"
    key: str | None = "right"
    headers: dict[str, str] = field(default_factory=dict)
    says: str = ""

    def send(self, run: Running) -> httpx.Response:
        content = self.content() if callable(self.content) else self.content
        request = run.http.build_request(self.method, self.path, content=content)
        del request.headers["authorization"]
        if self.key is not None:
            request.headers["authorization"] = f"Bearer {run.key if self.key == 'right' else self.key}"
        request.headers.update({name: value.replace("$KEY", run.key) for name, value in self.headers.items()})
        return run.http.send(request)


def wrong_type(name: str, value: Any) -> Mistake:
    return Mistake(400, "invalid_type", body(**{name: value}), name)


def credential(name: str) -> Mistake:
    return Mistake(400, "unsupported_parameter", body(**{name: "http://127.0.0.1:1/x"}), name)


SPEECH = "/v1/audio/speech"
IMAGES = "/v1/images/generations"
FORM = {"content-type": "multipart/form-data; boundary=b"}


def value(param: str, content: bytes, path: str, *, says: str, headers: dict[str, str] | None = None) -> Mistake:
    """A value that the model does not take; `says` is one that it takes."""
    return Mistake(400, "invalid_value", content, param, path, headers=headers or {}, says=says)


def edited(**fields: str) -> bytes:
    return form(("image", b"a picture"), model="paint", prompt="a hat", **fields)


def heard(**fields: str) -> bytes:
    return form(("file", b"a sound"), model="whisper", **fields)


MISTAKES: dict[str, Mistake] = {
    "no key": Mistake(401, "invalid_api_key", key=None, says="api-key"),
    "wrong key": Mistake(401, "invalid_api_key", key="sk-wrong"),
    "wrong api-key": Mistake(401, "invalid_api_key", key=None, headers={"api-key": "sk-wrong"}),
    "empty api-key": Mistake(401, "invalid_api_key", key=None, headers={"api-key": ""}),
    "key that is a beginning": Mistake(401, "invalid_api_key", key="sk-spillway"),
    "key in the wrong case": Mistake(401, "invalid_api_key", key="SK-SPILLWAY-TEST-MASTER"),
    "two different keys": Mistake(401, "invalid_api_key", headers={"api-key": "sk-other"}, says="two different"),
    "basic": Mistake(401, "invalid_api_key", key=None, headers={"authorization": "Basic $KEY"}, says="Bearer"),
    "bearer without a key": Mistake(401, "invalid_api_key", key=None, headers={"authorization": "Bearer"}),
    "key without bearer": Mistake(401, "invalid_api_key", key=None, headers={"authorization": "$KEY"}),
    "no key and a bad body": Mistake(401, "invalid_api_key", b"{", key=None),
    "empty": Mistake(400, "invalid_json", b"", says="empty"),
    "whitespace": Mistake(400, "invalid_json", b" \r\n\t ", says="empty"),
    "not JSON": Mistake(400, "invalid_json", b"model=gpt-4o"),
    "cut JSON": Mistake(400, "invalid_json", GOOD[:-1]),
    "two JSON objects": Mistake(400, "invalid_json", GOOD + GOOD),
    "NaN": Mistake(400, "invalid_json", b'{"model":"gpt-4o","messages":[{}],"temperature":NaN}'),
    "an array": Mistake(400, "invalid_json", b"[" + GOOD + b"]", says="object"),
    "a string": Mistake(400, "invalid_json", b'"gpt-4o"', says="object"),
    "null": Mistake(400, "invalid_json", b"null", says="object"),
    "invalid UTF-8": Mistake(400, "invalid_json", GOOD.replace(b"hello", b"h\xff\xfe")),
    "cut UTF-8": Mistake(400, "invalid_json", GOOD.replace(b"hello", b"h\xe6\xb0")),
    "lone surrogate": Mistake(400, "invalid_json", GOOD.replace(b"hello", rb"\ud800")),
    "UTF-16": Mistake(400, "invalid_json", GOOD.decode().encode("utf-16")),
    "nested 200 deep": Mistake(404, "model_not_found", nested(200).replace(b"gpt-4o", b"gpt-9"), "model"),
    "nested 400 deep": Mistake(400, "invalid_json", nested(400)),
    "nested 400 deep, streamed": Mistake(400, "invalid_json", b'{"stream":true,' + nested(400)[1:]),
    "nested 100,000 deep": Mistake(400, "invalid_json", nested(100_000)),
    "25 MB": Mistake(413, "request_too_large", large, says="20,971,520"),
    "25 MB, chunked": Mistake(413, "request_too_large", chunked, says="20,971,520"),
    "unknown model": Mistake(404, "model_not_found", body(model="gpt-9"), "model", says="gpt-4o, embed"),
    "unknown model, streamed": Mistake(404, "model_not_found", body(model="gpt-9", stream=True), "model"),
    "model with a long, odd name": Mistake(
        404, "model_not_found", body(model="a\r\nset-cookie: x=1\x00\x1b[31m" * 1000), "model", says="…"
    ),
    "model of 2 MB": Mistake(404, "model_not_found", body(model="m" * 2 * MB), "model", says="…"),
    "model of another kind": Mistake(400, "model_not_supported", body(model="embed"), "model", says="embedding"),
    "no model": Mistake(400, "missing_required_parameter", body(model=...), "model"),
    "model null": Mistake(400, "missing_required_parameter", body(model=None), "model"),
    "model empty": Mistake(400, "invalid_type", body(model=""), "model"),
    "model a number": wrong_type("model", 4),
    "model a list": wrong_type("model", ["gpt-4o"]),
    "no messages": Mistake(400, "missing_required_parameter", body(messages=...), "messages"),
    "messages null": Mistake(400, "missing_required_parameter", body(messages=None), "messages"),
    "messages empty": Mistake(400, "empty_array", body(messages=[]), "messages"),
    "messages a string": wrong_type("messages", "hello"),
    "messages an object": wrong_type("messages", {"role": "user", "content": "hello"}),
    "stream yes": wrong_type("stream", "yes"),
    "stream 1": wrong_type("stream", 1),
    "stream_options a list": wrong_type("stream_options", []),
    "stream_options without stream": Mistake(
        400, "invalid_value", body(stream_options={"include_usage": True}), "stream_options"
    ),
    "timeout a string": wrong_type("timeout", "10"),
    "timeout 0": Mistake(400, "invalid_value", body(timeout=0), "timeout"),
    "timeout negative": Mistake(400, "invalid_value", body(timeout=-1), "timeout"),
    "unknown voice": value(
        "voice", speech(voice="ghost"), SPEECH, says="found `ghost`. Model `voice` takes `alloy`, `ec"
    ),
    "voice of a newer model": value("voice", speech(voice="marin"), SPEECH, says="`shimmer`"),
    "voice of 2 MB": value("voice", speech(voice="v\r\n" * MB), SPEECH, says="…"),
    "unknown format of speech": value("response_format", speech(response_format="ogg"), SPEECH, says="`opus`"),
    "speed 4.5": value(
        "speed", speech(speed=4.5), SPEECH, says="found `4.5`. Model `voice` takes numbers from 0.25 to 4"
    ),
    "input of 4,097 characters": Mistake(
        400, "string_above_max_length", speech(input="水" * 4097), "input", SPEECH, says="found `4097 characters`"
    ),
    "size 7x7": value("size", image(size="7x7"), IMAGES, says="found `7x7`. Model `paint` takes `auto`, `1024x1024`"),
    "size 7x7, streamed": value("size", image(size="7x7", stream=True), IMAGES, says="`auto`"),
    "size a number": value("size", image(size=1024), IMAGES, says="`1024`"),
    "size of DALL-E": value("size", image(size="1792x1024"), IMAGES, says="`1536x1024`"),
    "size for DALL-E": value("size", image(model="dalle", size="1536x1024"), IMAGES, says="`1792x1024`"),
    "size off the grid": value("size", image(model="paint-2", size="1000x1000"), IMAGES, says="multiples of 16"),
    "size too wide": value("size", image(model="paint-2", size="3840x1024"), IMAGES, says="3:1"),
    "unknown quality": value("quality", image(quality="ultra"), IMAGES, says="`medium`"),
    "11 images": value("n", image(n=11), IMAGES, says="whole numbers from 1 to 10"),
    "WebP": value("output_format", image(output_format="webp"), IMAGES, says="`png`, `jpeg`"),
    "compression 101": value("output_compression", image(output_compression=101), IMAGES, says="0 to 100"),
    "4 partial images": value("partial_images", image(partial_images=4, stream=True), IMAGES, says="0 to 3"),
    "size of an edit": value("size", edited(size="7x7"), "/v1/images/edits", says="`auto`", headers=FORM),
    "11 images of an edit": value("n", edited(n="11"), "/v1/images/edits", says="1 to 10", headers=FORM),
    "format of a transcript": value(
        "response_format", heard(response_format="mp3"), "/v1/audio/transcriptions", says="`srt`", headers=FORM
    ),
    "format of a translation": value(
        "response_format", heard(response_format="diarized_json"), "/v1/audio/translations", says="`vtt`", headers=FORM
    ),
    "voice of a chat": value("audio.voice", body(model="talk", audio={"voice": "ghost"}), CHAT, says="`cedar`"),
    "format of a chat's stream": value(
        "audio.format", body(model="talk", stream=True, audio={"format": "mp3"}), CHAT, says="takes `pcm16`."
    ),
    "api_key": credential("api_key"),
    "api_base": credential("api_base"),
    "base_url": credential("base_url"),
    "api_version": credential("api_version"),
    "azure_ad_token": credential("azure_ad_token"),
    "unknown path": Mistake(404, "unknown_url", path="/v1/nothing", says="POST /v1/nothing"),
    "long path": Mistake(404, "unknown_url", path="/v1/" + "x" * 5000),
    "/": Mistake(404, "unknown_url", b"", path="/", method="GET"),
    "/docs": Mistake(404, "unknown_url", b"", path="/docs", method="GET"),
    "/redoc": Mistake(404, "unknown_url", b"", path="/redoc", method="GET"),
    "/openapi.json": Mistake(404, "unknown_url", b"", path="/openapi.json", method="GET"),
    "/docs/oauth2-redirect": Mistake(404, "unknown_url", b"", path="/docs/oauth2-redirect", method="GET"),
    "path up": Mistake(404, "unknown_url", path="/v1/%2e%2e/chat/completions"),
    "GET": Mistake(405, "method_not_supported", b"", method="GET"),
    "PUT": Mistake(405, "method_not_supported", method="PUT"),
    "DELETE": Mistake(405, "method_not_supported", b"", method="DELETE"),
    "PATCH": Mistake(405, "method_not_supported", method="PATCH"),
    "OPTIONS": Mistake(405, "method_not_supported", b"", method="OPTIONS"),
    "GET, another spelling": Mistake(
        405, "method_not_supported", b"", method="GET", path="/openai/deployments/gpt-4o/chat/completions"
    ),
    "POST models": Mistake(405, "method_not_supported", method="POST", path="/v1/models"),
    "DELETE model": Mistake(405, "method_not_supported", b"", method="DELETE", path="/v1/models/gpt-4o"),
}


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_has_one_well_formed_answer_and_goes_nowhere(spillway: Spillway, mistake: Mistake) -> None:
    run = spillway(CONFIG)
    answer = mistake.send(run)
    assert answer.status_code == mistake.status
    error = answer.json()["error"]
    assert answer.json() == {"error": error}
    assert set(error) == {"message", "type", "param", "code"}
    assert (error["code"], error["param"], error["type"]) == (mistake.code, mistake.param, "invalid_request_error")
    assert mistake.says in error["message"]
    assert error["message"].isprintable()
    assert len(error["message"]) < 500
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-should-retry"] == "false"
    assert answer.headers["x-request-id"] == answer.headers["x-spillway-call-id"]
    assert run.sim.requests() == []
    run.assert_discreet(str(answer.headers), answer.text)


@pytest.mark.parametrize("mistake", ["wrong key", "unknown model", "not JSON", "unknown path", "GET", "25 MB"])
def test_a_mistake_is_one_record_of_the_log(spillway: Spillway, mistake: str) -> None:
    run = spillway(CONFIG)
    answer = MISTAKES[mistake].send(run)
    [call] = run.calls()
    assert (call["status"], call["code"], call["outcome"]) == (answer.status_code, MISTAKES[mistake].code, "error")
    assert (call["call_id"], call["attempts"]) == (answer.headers["x-spillway-call-id"], 0)
    run.await_rest()


@pytest.mark.parametrize("name", [name for name, mistake in MISTAKES.items() if mistake.status == 405])
def test_a_405_says_which_methods_there_are(spillway: Spillway, name: str) -> None:
    answer = MISTAKES[name].send(spillway(CONFIG))
    assert answer.headers["allow"] == ("GET" if "model" in name.lower() else "POST")


def test_a_wrong_key_is_not_shown_back(spillway: Spillway) -> None:
    run = spillway(CONFIG)
    answer = Mistake(401, "", key="sk-my-other-secret").send(run)
    assert not [text for text in (answer.text, *run.log.messages) if "sk-my-other-secret" in text]


def test_a_prompt_is_not_logged(spillway: Spillway) -> None:
    run = spillway(CONFIG)
    for content in (
        body(messages="my secret prompt"),
        body(messages=[{"role": "user", "content": "my secret prompt"}]),
    ):
        Mistake(400, "", content).send(run)
    run.calls(2)
    assert not [text for text in run.log.messages if "secret prompt" in text]


def test_both_headers_with_the_same_key_are_fine(spillway: Spillway) -> None:
    assert Mistake(200, "", headers={"api-key": "$KEY"}).send(spillway(CONFIG)).status_code == 200


def test_a_body_just_under_the_limit_is_served(spillway: Spillway) -> None:
    run = spillway(CONFIG + "general_settings: {max_request_size_mb: 0.01}\n")
    limit = int(0.01 * MB)
    exact = body(messages=[{"role": "user", "content": "x" * (limit - len(body()) + len("hello"))}])
    assert len(exact) == limit
    assert Mistake(200, "", exact).send(run).status_code == 200
    assert Mistake(413, "", exact + b" ").send(run).status_code == 413


def test_any_content_type_is_fine(spillway: Spillway) -> None:
    run = spillway(CONFIG)
    for kind in ("text/plain", "application/x-www-form-urlencoded", "application/json; charset=utf-8"):
        assert Mistake(200, "", headers={"content-type": kind}).send(run).status_code == 200


def test_a_voice_may_be_the_callers_own(spillway: Spillway) -> None:
    run = spillway(CONFIG)
    for sent in (speech(voice={"id": "voice_1"}), speech(model="my-own", voice="ghost")):
        answer = Mistake(400, "", sent, path=SPEECH).send(run)
        assert "Model `" not in answer.json()["error"]["message"]  # Azure's word, not the table's
    assert len(run.sent()) == 2


@pytest.mark.parametrize(
    ("path", "content", "headers"),
    [
        (SPEECH, speech(voice="ghost", allowed_openai_params=["voice"]), {}),
        (IMAGES, image(size="7x7", allowed_openai_params=["size"]), {}),
        ("/v1/images/edits", edited(**{"size": "7x7", "allowed_openai_params[]": "size"}), FORM),
        ("/v1/audio/transcriptions", heard(response_format="mp3", allowed_openai_params="response_format"), FORM),
        (CHAT, body(model="talk", modalities=["audio", "text"], audio={"voice": "ghost", "format": "wav"},
                    allowed_openai_params=["audio"]), {}),
    ],
    ids=["voice", "size", "size of an edit", "format of a transcript", "voice of a chat"],
)  # fmt: skip
def test_a_value_can_be_let_through(spillway: Spillway, path: str, content: bytes, headers: dict[str, str]) -> None:
    run = spillway(CONFIG)
    answer = Mistake(400, "", content, path=path, headers=headers).send(run)
    assert answer.status_code == 400
    [sent] = run.sim.requests()
    assert "allowed_openai_params" not in sent["body"]
    assert run.sim.bill() == []


def test_dropping_parameters_drops_no_value(spillway: Spillway) -> None:
    run = spillway(CONFIG)
    answer = Mistake(400, "", image(size="7x7", drop_params=True), path=IMAGES).send(run)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "size")
    assert run.sim.requests() == []


def test_a_byte_order_mark_is_not_json(spillway: Spillway) -> None:
    assert Mistake(400, "", b"\xef\xbb\xbf" + GOOD).send(spillway(CONFIG)).status_code == 400


def _chat(**values: Any) -> Callable[[OpenAI], Any]:
    fields: Any = {"model": "gpt-4o", "messages": MESSAGES, **values}
    return lambda client: client.chat.completions.create(**fields)


@pytest.mark.parametrize(
    ("ask", "expected", "code"),
    [
        (
            lambda client: _chat()(client.with_options(api_key="sk-wrong")),
            openai.AuthenticationError,
            "invalid_api_key",
        ),
        (_chat(model="gpt-9"), openai.NotFoundError, "model_not_found"),
        (_chat(model="gpt-9", stream=True), openai.NotFoundError, "model_not_found"),
        (_chat(model="embed"), openai.BadRequestError, "model_not_supported"),
        (_chat(messages=[]), openai.BadRequestError, "empty_array"),
        (_chat(extra_body={"api_key": "k"}), openai.BadRequestError, "unsupported_parameter"),
        (lambda client: client.post("/nothing", cast_to=object), openai.NotFoundError, "unknown_url"),
        (lambda client: client.get("/chat/completions", cast_to=object), openai.APIStatusError, "method_not_supported"),
    ],
)
def test_the_sdk_raises_its_class_at_once(
    spillway: Spillway, ask: Callable[[OpenAI], Any], expected: type[openai.APIStatusError], code: str
) -> None:
    run = spillway(CONFIG)
    with (
        OpenAI(
            base_url=run.url + "/v1",
            api_key=run.key,
            max_retries=2,
            http_client=openai.DefaultHttpxClient(verify=False),
        ) as client,
        pytest.raises(expected) as raised,
    ):
        ask(client)
    assert raised.value.code == code
    assert len(run.calls()) == 1
