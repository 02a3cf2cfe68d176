from __future__ import annotations

import base64
from typing import Any

import httpx
import orjson
import pytest
from openai import AzureOpenAI, OpenAI

from devtools.simulator import ControlClient
from devtools.simulator.pictures import look, made

VERSION = "?api-version=2025-04-01-preview"
PATH = "/east/openai/deployments/gpt-image-1/images/generations" + VERSION
DALLE = PATH.replace("gpt-image-1", "dall-e-3")
EDITS = PATH.replace("generations", "edits")
PNG = made("png", 1024, 1024, "a")
MASK = made("png", 1024, 1024, "b", alpha=True)


def draw(http: httpx.Client, path: str = PATH, **more: Any) -> Any:
    return http.post(path, json={"prompt": "a weir", **more}).json()


def edit(http: httpx.Client, *files: tuple[str, bytes], path: str = EDITS, **fields: str) -> httpx.Response:
    parts = [(name, ("a.png", data)) for name, data in files]
    return http.post(path, files=parts, data={"prompt": "a weir", **fields})


def parsed(raw: bytes) -> list[dict[str, Any]]:
    """The events of a stream; each `event:` line names its data's `type`."""
    out = []
    for block in raw.decode().removesuffix("\n\n").split("\n\n"):
        name, data = block.split("\n")
        out.append(orjson.loads(data.removeprefix("data: ")))
        assert name == f"event: {out[-1]['type']}"
    return out


def picture(answer: Any) -> Any:
    return look(base64.b64decode(answer["data"][0]["b64_json"]))


@pytest.mark.usefixtures("sim")
def test_the_sdk_draws(azure: AzureOpenAI) -> None:
    answer = azure.images.generate(model="gpt-image-1", prompt="a weir", n=2, size="1024x1536", quality="low")
    assert answer.data is not None
    assert answer.usage is not None
    assert (len(answer.data), answer.usage.output_tokens, answer.size) == (2, 816, "1024x1536")
    assert answer.data[0].b64_json != answer.data[1].b64_json


def test_a_picture_is_what_was_asked_for(http: httpx.Client) -> None:
    shown = picture(draw(http, size="1536x1024", background="transparent"))
    assert (shown.kind, shown.width, shown.height, shown.alpha) == ("png", 1536, 1024, True)
    assert picture(draw(http, output_format="jpeg", output_compression=50)).kind == "jpeg"
    assert picture(draw(http, output_format="jpeg")).width == 1024


def test_the_same_prompt_gives_the_same_picture(http: httpx.Client) -> None:
    first, again, other = (draw(http, prompt=prompt)["data"] for prompt in ("one", "one", "two"))
    assert first == again != other


def test_quality_is_high_unless_the_model_is_the_mini_one(http: httpx.Client) -> None:
    mini = draw(http, PATH.replace("gpt-image-1", "gpt-image-1-mini"))
    assert [draw(http)["quality"], mini["quality"]] == ["high", "medium"]


def test_a_picture_is_billed_by_its_tokens(http: httpx.Client, sim: ControlClient) -> None:
    usage = draw(http, quality="medium", n=3)["usage"]
    [line] = sim.bill()
    assert (line["prompt_tokens"], line["completion_tokens"]) == (usage["input_tokens"], 3168)
    assert (line["images"], line["image_size"], line["quality"]) == (3, "1024x1024", "medium")
    assert (line["output_image_tokens"], line["operation"], line["finished"]) == (3168, "images/generations", True)


def test_a_stream_has_partial_pictures_and_the_whole_one(http: httpx.Client, sim: ControlClient) -> None:
    found = parsed(http.post(PATH, json={"prompt": "a weir", "stream": True, "partial_images": 2}).content)
    assert [event["type"] for event in found] == [
        "image_generation.partial_image", "image_generation.partial_image", "image_generation.completed",
    ]  # fmt: skip
    assert [event["partial_image_index"] for event in found[:2]] == [0, 1]
    assert found[-1]["b64_json"] == draw(http)["data"][0]["b64_json"]
    assert sim.bill()[0]["completion_tokens"] == found[-1]["usage"]["output_tokens"] == 4360


@pytest.mark.usefixtures("sim")
def test_the_sdk_streams_a_picture(azure: AzureOpenAI) -> None:
    stream = azure.images.generate(model="gpt-image-1", prompt="a weir", stream=True, partial_images=1)
    assert [event.type for event in stream] == ["image_generation.partial_image", "image_generation.completed"]


def test_a_directive_sets_the_size_in_bytes(http: httpx.Client) -> None:
    [data] = draw(http, prompt="[[sim bytes=500000]]")["data"]
    assert 500_000 < len(base64.b64decode(data["b64_json"])) < 501_000


@pytest.mark.parametrize(("more", "param"), [
    ({"response_format": "b64_json"}, "response_format"), ({"output_format": "webp"}, "output_format"),
    ({"size": "512x512"}, "size"), ({"quality": "hd"}, "quality"), ({"n": 11}, "n"), ({"n": 0}, "n"),
    ({"prompt": None}, "prompt"), ({"prompt": "x" * 32_001}, "prompt"), ({"style": "vivid"}, "style"),
    ({"background": "transparent", "output_format": "jpeg"}, "background"),
    ({"output_compression": 50}, "output_compression"), ({"partial_images": 2}, "partial_images"),
    ({"stream": True, "partial_images": 4}, "partial_images"), ({"stream": True, "n": 2}, "n"),
])  # fmt: skip
def test_a_wrong_value_is_refused(http: httpx.Client, sim: ControlClient, more: dict[str, Any], param: str) -> None:
    response = http.post(PATH, json={"prompt": "a weir", **more})
    assert (response.status_code, response.json()["error"]["param"]) == (400, param)
    assert sim.bill() == []


def test_dall_e_gives_a_url_that_can_be_fetched_without_a_key(http: httpx.Client) -> None:
    [data] = draw(http, DALLE, size="1792x1024")["data"]
    assert data["revised_prompt"] == "A picture of a weir"
    assert data["prompt_filter_results"]["profanity"] == {"detected": False, "filtered": False}
    response = httpx.get(data["url"])
    shown = look(response.content)
    assert shown is not None
    assert (response.headers["content-type"], shown.width, shown.height) == ("image/png", 1792, 1024)


def test_an_image_url_is_bounded(http: httpx.Client) -> None:
    assert http.get("/_sim/images/a/5000x5000/generated_00.png").status_code == 404


def test_dall_e_gives_base64_when_asked(http: httpx.Client) -> None:
    assert picture(draw(http, DALLE, response_format="b64_json", style="natural")).kind == "png"


def test_dall_e_is_billed_by_the_image(http: httpx.Client, sim: ControlClient) -> None:
    draw(http, DALLE.replace("dall-e-3", "dall-e-3-test"), quality="hd", size="1024x1792")
    [line] = sim.bill()
    assert (line["images"], line["image_size"], line["quality"]) == (1, "1024x1792", "hd")
    assert (line["model"], line["prompt_tokens"], line["completion_tokens"]) == ("dall-e-3", 0, 0)


@pytest.mark.parametrize(("more", "param"), [
    ({"n": 2}, "n"), ({"size": "1024x1536"}, "size"), ({"quality": "high"}, "quality"), ({"style": "odd"}, "style"),
    ({"response_format": "file"}, "response_format"), ({"prompt": "x" * 4001}, "prompt"),
    ({"background": "auto"}, "background"),
])  # fmt: skip
def test_dall_e_refuses_a_wrong_value(http: httpx.Client, more: dict[str, Any], param: str) -> None:
    response = http.post(DALLE, json={"prompt": "a weir", **more})
    assert (response.status_code, response.json()["error"]["param"]) == (400, param)


@pytest.mark.parametrize(("prompt", "message"), [
    ("a hate-trigger", "Your task failed as a result of our safety system."),
    ("[[sim filter]]", "Your task failed as a result of our safety system."),
    ("[[sim filter=output]]", "Generated image was filtered as a result of our safety system."),
])  # fmt: skip
def test_a_filtered_image_is_not_billed(http: httpx.Client, sim: ControlClient, prompt: str, message: str) -> None:
    for path in (PATH, DALLE):
        answer = draw(http, path, prompt=prompt)
        assert answer["error"] == {"code": "contentFilter", "message": message}
        assert answer["created"] > 0
    assert sim.bill() == []


def test_api_versions_of_images(http: httpx.Client) -> None:
    def status(path: str, version: str) -> int:
        return http.post(path.replace("2025-04-01-preview", version), json={"prompt": "a weir"}).status_code

    assert [status(DALLE, version) for version in ("2024-10-21", "2024-02-01", "2023-12-01-preview")] == [200] * 3
    assert [status(PATH, version) for version in ("2024-10-21", "2025-03-01-preview")] == [400, 400]
    assert [status(EDITS, version) for version in ("2024-10-21", "2025-03-01-preview")] == [404, 404]
    v1 = "/east/openai/v1/images/generations"
    asked = {"prompt": "a weir", "model": "gpt-image-1"}
    assert [http.post(v1 + query, json=asked).status_code for query in ("", "?api-version=preview")] == [404, 200]


@pytest.mark.usefixtures("sim")
def test_the_sdk_edits(azure: AzureOpenAI, url: str) -> None:
    v1 = OpenAI(base_url=url + "/east/openai/v1", api_key="sim-key-east", default_query={"api-version": "preview"})
    with v1:
        for client in (azure, v1):
            answer = client.images.edit(model="gpt-image-1", image=("a.png", PNG), mask=("m.png", MASK), prompt="hi")
            assert answer.usage is not None
            assert answer.usage.input_tokens_details.image_tokens == 194
    many = azure.images.edit(model="gpt-image-1", image=[("a.png", PNG), ("b.png", PNG)], prompt="hi")
    assert many.usage is not None
    assert many.usage.input_tokens_details.image_tokens == 388


def test_an_edit_is_billed_with_its_pictures(http: httpx.Client, sim: ControlClient) -> None:
    usage = edit(http, ("image[]", PNG), input_fidelity="high", n="2", quality="low").json()["usage"]
    [line] = sim.bill()
    assert line["input_image_tokens"] == usage["input_tokens_details"]["image_tokens"] == 4354
    assert (line["completion_tokens"], line["operation"], line["images"]) == (544, "images/edits", 2)


def test_a_streamed_edit_has_events_of_its_own(http: httpx.Client) -> None:
    found = parsed(edit(http, ("image", PNG), stream="true", partial_images="1").content)
    assert [event["type"] for event in found] == ["image_edit.partial_image", "image_edit.completed"]


def test_a_jpeg_can_be_edited(http: httpx.Client) -> None:
    usage = edit(http, ("image", made("jpeg", 512, 1536, "a"))).json()["usage"]
    assert usage["input_tokens_details"]["image_tokens"] == 65 + 3 * 129


@pytest.mark.parametrize(("files", "fields", "param"), [
    ((), {"n": "1"}, "image"), ((("image", b"GIF89a"),), {}, "image"), ((("image", PNG),) * 17, {}, "image"),
    ((("image", PNG), ("mask", PNG)), {}, "mask"),
    ((("image", PNG), ("mask", made("png", 512, 512, "b", alpha=True))), {}, "mask"),
    ((("image", PNG),), {"n": "many"}, "n"), ((("image", PNG),), {"input_fidelity": "some"}, "input_fidelity"),
    ((("image", PNG),), {"response_format": "url"}, "response_format"),
    ((("image", PNG + bytes(50 * 1024 * 1024)),), {}, "image"),
])  # fmt: skip
def test_a_wrong_edit_is_refused(
    http: httpx.Client, files: tuple[tuple[str, bytes], ...], fields: dict[str, str], param: str
) -> None:
    parts = files or (("other", b""),)
    response = edit(http, *parts, **fields)
    assert (response.status_code, response.json()["error"]["param"]) == (400, param)


def test_the_mini_model_has_no_input_fidelity(http: httpx.Client) -> None:
    path = EDITS.replace("gpt-image-1", "gpt-image-1-mini")
    assert edit(http, ("image", PNG), path=path).status_code == 200
    assert edit(http, ("image", PNG), path=path, input_fidelity="high").status_code == 400


def test_only_image_models_draw_and_only_gpt_image_edits(http: httpx.Client) -> None:
    chat = draw(http, PATH.replace("gpt-image-1", "gpt-4o"))
    dalle = edit(http, ("image", PNG), path=EDITS.replace("gpt-image-1", "dall-e-3")).json()
    assert [chat["error"]["code"], dalle["error"]["code"]] == ["OperationNotSupported", "OperationNotSupported"]


def test_images_have_limits(http: httpx.Client, sim: ControlClient) -> None:
    sim.deployment("east", "gpt-image-1", rpm=6)
    assert [http.post(PATH, json={"prompt": "a weir"}).status_code for _ in range(2)] == [200, 429]
