"""What is reserved of a deployment's tokens is what its own model counts: images, audio, pictures and voices."""

from __future__ import annotations

import io
import wave
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import httpx

    from tests.conftest import Running, Spillway

OPERATIONS = ("router_explain", "audio_transcriptions", "images_generations", "images_edits", "audio_speech")
PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5E"
    "rkJggg=="
)
LINK = "https://example.com/cat.png"
HIGH = [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": {"url": LINK, "detail": "high"}}]
SLOW_MS = 1500


def entry(deployment: str, *, model: str = "m", params: str = "", info: str = "") -> str:
    return (
        f"  - model_name: {model}\n    litellm_params: {{model: azure/{deployment}, api_base: $SIM/east, "
        f"api_key: sim-key-east{params}}}\n    model_info: {{id: {deployment}{info}}}\n"
    )


def config(*entries: str) -> str:
    return "model_list:\n" + "".join(entries)


def sound(seconds: int) -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(seconds * 16_000))
    return out.getvalue()


def estimates(run: Running, content: Any) -> dict[str, int]:
    """Tokens that the call is estimated to take at each candidate."""
    body = {"model": "m", "messages": [{"role": "user", "content": content}], "max_tokens": 1}
    answer = run.http.post("/v1/router/explain", json=body)
    assert answer.status_code == 200, answer.text
    return {one["model_id"]: one["estimated_tokens"] for one in answer.json()["candidates"]}


@pytest.mark.parametrize("order", [1, -1])
def test_an_image_counts_at_each_deployment_by_its_own_models_rule(spillway: Spillway, order: int) -> None:
    """It is not the first deployment's rule that counts for all: at gpt-4o-mini an image is 33 times as many tokens."""
    run = spillway(config(*[entry("gpt-4o"), entry("gpt-4o-mini"), entry("gpt-4.1-mini")][::order]))
    text, seen = estimates(run, [HIGH[0], HIGH[0]]), estimates(run, [*HIGH])
    assert len(set(text.values())) == 1
    tokens = {name: seen[name] - text[name] for name in seen}
    assert {name: round(value, -2) for name, value in tokens.items()} == {
        "gpt-4o": 800,  # 85 and 4 tiles of 170
        "gpt-4o-mini": 25_500,  # 2,833 and 4 tiles of 5,667
        "gpt-4.1-mini": 1_700,  # 1,024 patches of 1.62
    }


def test_a_deployment_is_full_when_its_own_model_says_so(spillway: Spillway) -> None:
    """A small image is 8,500 tokens of gpt-4o-mini, so two of them fill it and the next spill; gpt-4o, of which the
    file's first entry is, would count 255."""
    run = spillway(config(entry("gpt-4o", params=", order: 2"), entry("gpt-4o-mini", params=", order: 1, tpm: 20000")))
    messages = [{"role": "user", "content": [HIGH[0], {"type": "image_url", "image_url": {"url": PIXEL}}]}]
    run.sim.fault(delay_ms=SLOW_MS, times=None)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: run.chat(model="m", messages=messages, max_tokens=1), range(4)))
    served = [one.headers["x-spillway-model-id"] for one in answers]
    assert (served.count("gpt-4o-mini"), served.count("gpt-4o")) == (2, 2)


def at_once(run: Running, post: Callable[[], httpx.Response], count: int = 8) -> list[int]:
    """The statuses of so many calls at the same time, at a deployment that takes its time."""
    run.sim.fault(delay_ms=SLOW_MS, times=None)
    with ThreadPoolExecutor(count) as pool:
        return sorted(pool.map(lambda _: post().status_code, range(count)))


@pytest.mark.parametrize(
    ("deployment", "served"), [("gpt-4o-transcribe", 2), ("gpt-4o-mini-transcribe", 2), ("whisper", 8)]
)
def test_audio_is_reserved_by_its_seconds_where_the_model_counts_tokens(
    spillway: Spillway, deployment: str, served: int
) -> None:
    """60 seconds are 600 tokens, and a usual answer 256."""
    run = spillway(config(entry(deployment, params=", tpm: 2000", info=", mode: audio_transcription")))
    heard = sound(60)

    def post() -> httpx.Response:
        return run.http.post("/v1/audio/transcriptions", data={"model": "m"}, files={"file": ("a.wav", heard)})

    assert at_once(run, post) == [200] * served + [429] * (8 - served)
    assert len(run.sent()) == served


@pytest.mark.parametrize(
    ("deployment", "info", "fields", "served"),
    [
        ("gpt-image-1", "", {"quality": "low", "size": "1024x1024"}, 3),  # 272 tokens each
        ("gpt-image-1", "", {"quality": "low", "size": "1024x1024", "n": 3}, 1),
        ("gpt-image-1", "", {"size": "1024x1024"}, 1),  # of high quality: more than the whole, so it goes alone
        ("dall-e-3-test", ", base_model: dall-e-3", {"size": "1024x1024"}, 8),
    ],
)
def test_pictures_are_reserved_by_size_quality_and_number_where_the_model_counts_tokens(
    spillway: Spillway, deployment: str, info: str, fields: dict[str, Any], served: int
) -> None:
    run = spillway(config(entry(deployment, params=", tpm: 1000", info=f", mode: image_generation{info}")))

    def post() -> httpx.Response:
        return run.http.post("/v1/images/generations", json={"model": "m", "prompt": "a cat", **fields})

    assert at_once(run, post) == [200] * served + [429] * (8 - served)


def test_pictures_that_are_given_count_too(spillway: Spillway) -> None:
    """One of low quality is 272 tokens, and each that is given 323."""
    run = spillway(config(entry("gpt-image-1", params=", tpm: 2000")))
    picture = sound(0)  # the gateway does not look into it

    def post() -> httpx.Response:
        form = {"model": "m", "prompt": "a hat", "quality": "low", "size": "1024x1024"}
        files = [("image[]", (f"{number}.png", picture)) for number in range(2)]
        return run.http.post("/v1/images/edits", data=form, files=files)

    run.sim.fault(status=503, delay_ms=SLOW_MS, times=None)
    with ThreadPoolExecutor(8) as pool:
        answers = sorted(pool.map(lambda _: post().status_code, range(8)))
    assert (answers.count(429), len(run.sim.requests())) == (6, 2)


@pytest.mark.parametrize(("deployment", "served"), [("gpt-4o-mini-tts", 2), ("tts", 6)])
def test_speech_stays_counted_where_its_voice_counts_tokens(spillway: Spillway, deployment: str, served: int) -> None:
    """Audio in bytes tells no tokens, so what was reserved is what it took: 75 of text, and 400 spoken."""
    run = spillway(config(entry(deployment, params=", tpm: 1000", info=", mode: audio_speech")))
    body = {"model": "m", "voice": "alloy", "input": "four" * 75}
    answers = [run.http.post("/v1/audio/speech", json=body).status_code for _ in range(6)]
    assert answers == [200] * served + [429] * (6 - served)
