"""Images through the openai package: generated and edited, whole and streamed, gpt-image and DALL-E."""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from openai import OpenAI

if TYPE_CHECKING:
    from tests.conftest import Running, Spillway

OPERATIONS = ("images_generations", "images_edits")

Client = Callable[["Running"], OpenAI]
CONFIG = """
model_list:
  - model_name: paint
    litellm_params: {model: azure/gpt-image-1, api_base: $SIM/east, api_key: sim-key-east, api_version: VERSION}
    model_info: {mode: image_generation}
  - model_name: dalle
    litellm_params: {model: azure/dall-e-3-test, api_base: $SIM/east, api_key: sim-key-east, api_version: VERSION}
    model_info: {mode: image_generation, base_model: dall-e-3}
"""
DATED = CONFIG.replace("VERSION", "2025-04-01-preview")
MB = 1024 * 1024


@pytest.fixture(params=['"2024-10-21"', "2025-04-01-preview", "v1", "preview"])
def config(request: pytest.FixtureRequest) -> str:
    """Entries whose api-versions lack the models too: the lowest that has them is used instead."""
    return CONFIG.replace("VERSION", request.param)


def png(alpha: bool = False, *, filler: int = 0) -> bytes:
    """A picture of 64 x 64, with `filler` bytes in a chunk of its own."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    colour, pixel = (6, 4) if alpha else (2, 3)
    head = struct.pack(">IIBBBBB", 64, 64, 8, colour, 0, 0, 0)
    rows = zlib.compress((b"\0" + bytes(64 * pixel)) * 64)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + (chunk(b"fiLl", bytes(filler)) if filler else b"")
        + chunk(b"IDAT", rows)
        + chunk(b"IEND", b"")
    )


def edit(run: Running, files: Any, **fields: Any) -> Any:
    return run.http.post("/v1/images/edits", data={"model": "paint", "prompt": "a cat", **fields}, files=files)


def test_a_picture_is_made_and_its_tokens_are_the_bills(spillway: Spillway, config: str, client: Client) -> None:
    run = spillway(config)
    answer = client(run).images.generate(model="paint", prompt="a cat", size="1024x1024", quality="low")
    [line], [call] = run.sim.bill(), run.calls()
    assert answer.data is not None
    assert base64.b64decode(answer.data[0].b64_json or "").startswith(b"\x89PNG")
    assert answer.usage is not None
    assert answer.usage.output_tokens == line["completion_tokens"] == call["completion_tokens"] > 0
    assert answer.usage.input_tokens == line["prompt_tokens"] == call["prompt_tokens"] > 0
    assert call["usage_source"] == "upstream"


def test_partial_pictures_are_streamed(spillway: Spillway, config: str, client: Client) -> None:
    run = spillway(config)
    events: Any = client(run).images.generate(model="paint", prompt="a cat", stream=True, partial_images=2)
    kinds = [event.type for event in events]
    assert kinds == [*["image_generation.partial_image"] * 2, "image_generation.completed"]
    [line], [call] = run.sim.bill(), run.calls()
    assert (call["prompt_tokens"], call["completion_tokens"]) == (line["prompt_tokens"], line["completion_tokens"])
    assert (call["stream"], call["outcome"], call["usage_source"]) == (True, "ok", "upstream")


def test_a_streams_events_come_byte_for_byte(spillway: Spillway) -> None:
    run = spillway(DATED)
    body = {"model": "paint", "prompt": "a cat", "stream": True, "partial_images": 1, "quality": "low"}
    answer = run.http.post("/v1/images/generations", json=body)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.text.startswith("event: image_generation.partial_image\ndata: {")
    assert "[DONE]" not in answer.text


def test_several_pictures_of_any_shape_and_format(spillway: Spillway, client: Client) -> None:
    run = spillway(DATED)
    answer = client(run).images.generate(
        model="paint", prompt="a cat", n=3, size="1536x1024", quality="low", output_format="jpeg", output_compression=60
    )
    assert answer.data is not None
    assert [base64.b64decode(one.b64_json or "")[:2] for one in answer.data] == [b"\xff\xd8"] * 3
    assert run.sim.bill()[0]["images"] == 3


def test_dalle_gives_links_or_base64_and_is_billed_by_the_picture(
    spillway: Spillway, config: str, client: Client
) -> None:
    run = spillway(config)
    make = client(run).images.generate
    linked = make(model="dalle", prompt="a cat", style="natural", quality="hd").data
    whole = make(model="dalle", prompt="a cat", response_format="b64_json").data
    assert linked is not None
    assert linked[0].url is not None
    assert linked[0].revised_prompt
    assert whole is not None
    assert whole[0].b64_json
    assert [line["images"] for line in run.sim.bill()] == [1, 1]


@pytest.mark.parametrize(
    ("model", "fields", "sent"),
    [
        ("paint", {"response_format": "b64_json"}, {}),  # what gpt-image does anyhow
        ("dalle", {"output_format": "png", "background": "auto"}, {}),
        ("dalle", {"n": 1}, {"n": 1}),
    ],
)
def test_what_a_model_does_anyhow_is_not_asked_of_it(
    spillway: Spillway, model: str, fields: dict[str, Any], sent: dict[str, Any]
) -> None:
    run = spillway(DATED)
    answer = run.http.post("/v1/images/generations", json={"model": model, "prompt": "a", **fields})
    assert answer.status_code == 200
    assert {name: value for name, value in run.sent()[0]["json"].items() if name in fields} == sent


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        ({"prompt": None}, "prompt", "missing_required_parameter"),
        ({"prompt": ""}, "prompt", "invalid_value"),
        ({"prompt": ["a"]}, "prompt", "invalid_type"),
        ({"n": 0}, "n", "invalid_value"),
        ({"n": 11}, "n", "invalid_value"),
        ({"n": "many"}, "n", "invalid_value"),
        ({"n": 1.5}, "n", "invalid_value"),
        ({"n": True}, "n", "invalid_value"),
        ({"n": [1]}, "n", "invalid_value"),
        ({"stream": "true"}, "stream", "invalid_type"),
        ({"response_format": "url"}, "response_format", "unsupported_parameter"),
        ({"style": "vivid"}, "style", "unsupported_parameter"),
        ({"model": "dalle", "n": 2}, "n", "unsupported_value"),
        ({"model": "dalle", "stream": True}, "stream", "unsupported_parameter"),
        ({"model": "dalle", "partial_images": 2}, "partial_images", "unsupported_parameter"),
        ({"model": "gpt-9"}, "model", "model_not_found"),
    ],
)
def test_a_mistake_is_named_and_nothing_is_sent(
    spillway: Spillway, body: dict[str, Any], param: str, code: str
) -> None:
    run = spillway(DATED)
    answer = run.http.post("/v1/images/generations", json={"model": "paint", "prompt": "a", **body})
    error = answer.json()["error"]
    assert (error["param"], error["code"]) == (param, code)
    assert run.sent() == []
    run.assert_discreet(answer.text)


@pytest.mark.parametrize("fields", [{"size": "7x7"}, {"quality": "ultra"}, {"output_format": "webp"}], ids=str)
@pytest.mark.parametrize("stream", [False, True])
def test_a_value_that_is_let_through_is_azures_to_judge(
    spillway: Spillway, fields: dict[str, str], stream: bool
) -> None:
    run = spillway(DATED)
    body = {"model": "paint", "prompt": "a", "stream": stream, **fields, "allowed_openai_params": list(fields)}
    answer = run.http.post("/v1/images/generations", json=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == next(iter(fields))
    assert len(run.sent()) == 1
    assert run.sim.bill() == []


def test_a_filtered_prompt_is_told_with_its_reason(spillway: Spillway) -> None:
    run = spillway(DATED)
    answer = run.http.post("/v1/images/generations", json={"model": "paint", "prompt": "[[sim filter=prompt]]"})
    assert answer.status_code == 400
    assert answer.json()["error"]["message"]
    assert run.calls()[0]["attempts"] == 1


def test_an_edit_takes_one_picture_several_and_a_mask(spillway: Spillway, config: str, client: Client) -> None:
    run = spillway(config)
    make = client(run).images.edit
    one = make(model="paint", image=("a.png", png()), prompt="a hat", quality="low")
    several = make(model="paint", image=[("a.png", png()), ("b.png", png())], prompt="a hat", quality="low")
    masked = make(model="paint", image=("a.png", png()), mask=("m.png", png(alpha=True)), prompt="a hat", n=2)
    assert [len(answer.data or ()) for answer in (one, several, masked)] == [1, 1, 2]
    for call, line in zip(run.calls(3), run.sim.bill(), strict=True):
        assert (call["prompt_tokens"], call["completion_tokens"]) == (line["prompt_tokens"], line["completion_tokens"])


def test_an_edit_is_streamed(spillway: Spillway, client: Client) -> None:
    run = spillway(DATED)
    events: Any = client(run).images.edit(
        model="paint", image=("a.png", png()), prompt="a hat", stream=True, partial_images=1
    )
    assert [event.type for event in events] == ["image_edit.partial_image", "image_edit.completed"]
    assert run.calls()[0]["completion_tokens"] == run.sim.bill()[0]["completion_tokens"]


def test_a_picture_of_many_megabytes_passes(spillway: Spillway, client: Client) -> None:
    run = spillway(DATED)
    answer = client(run).images.edit(model="paint", image=("a.png", png(filler=30 * MB)), prompt="a hat", quality="low")
    assert answer.data


IMAGE = {"image": ("a.png", png(), "image/png")}


@pytest.mark.parametrize(
    ("files", "fields", "param", "code", "status"),
    [
        ({"mask": ("m.png", b"x")}, {}, "image", "missing_required_parameter", 400),
        ({"image": ("a.png", b"")}, {}, "image", "invalid_value", 400),
        ({"image[]": ("a.png", b"")}, {}, "image[]", "invalid_value", 400),
        ({**IMAGE, "mask": ("m.png", b"")}, {}, "mask", "invalid_value", 400),
        (IMAGE, {"prompt": ""}, "prompt", "invalid_value", 400),
        (IMAGE, {"n": "0"}, "n", "invalid_value", 400),
        (IMAGE, {"n": "x"}, "n", "invalid_value", 400),
        (IMAGE, {"n": ["1", "2"]}, "n", "invalid_value", 400),
        (IMAGE, {"stream": "perhaps"}, "stream", "invalid_type", 400),
        (IMAGE, {"model": ""}, "model", "invalid_type", 400),
        (IMAGE, {"model": "gpt-9"}, "model", "model_not_found", 404),
        (IMAGE, {"response_format": "url"}, "response_format", "unsupported_parameter", 400),
        ({"image": ("a.png", png(filler=51 * MB))}, {}, "image", "request_too_large", 413),
    ],
)
def test_a_mistaken_edit_is_named_and_nothing_is_sent(
    spillway: Spillway, files: Any, fields: dict[str, Any], param: str, code: str, status: int
) -> None:
    run = spillway(DATED)
    answer = edit(run, files, **fields)
    error = answer.json()["error"]
    assert (answer.status_code, error["param"], error["code"]) == (status, param, code)
    assert run.sent() == []
    run.assert_discreet(answer.text)


def test_a_picture_as_json_is_told_to_be_no_form(spillway: Spillway) -> None:
    run = spillway(DATED)
    answer = run.http.post("/v1/images/edits", json={"model": "paint", "prompt": "a", "image": "x"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_content_type")


def test_a_file_that_is_no_picture_is_refused_and_not_billed(spillway: Spillway) -> None:
    run = spillway(DATED)
    answer = edit(run, {"image": ("a.png", b"no picture")})
    assert answer.status_code == 400
    assert run.sim.bill() == []


def test_a_stream_that_breaks_off_says_so(spillway: Spillway) -> None:
    run = spillway(DATED)
    run.sim.fault(operation="images/generations", cut_after_events=1)
    body = {"model": "paint", "prompt": "a [[sim delay_ms=20]]", "stream": True, "partial_images": 2}
    answer = run.http.post("/v1/images/generations", json=body)
    assert '"code":"stream_broken"' in answer.text
    assert run.calls()[0]["outcome"] == "broken"
