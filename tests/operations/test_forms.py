"""Forms: text that is read for what it means, and files that must be there."""

from __future__ import annotations

import io
from typing import Any

import pytest

from shared.callers.caller import MASTER
from shared.errors import BadRequest, PayloadTooLarge
from shared.operations.forms import form_call, needs_file
from shared.operations.operation import Incoming
from shared.seal import Seal, Sealer, tag
from shared.upstream.content import FormFile

SEAL = Seal(Sealer(["secret"]), tag("ann"))


def incoming(**fields: Any) -> Incoming:
    return Incoming("call", MASTER, None, {"model": "m", **fields}, SEAL)


def file(field: str = "file", size: int = 3) -> FormFile:
    return FormFile(field, "a.wav", "audio/wav", size, io.BytesIO(b"x" * min(size, 10)))


@pytest.mark.parametrize(
    ("written", "stream"), [("true", True), ("True", True), ("1", True), ("false", False), ("0", False), ("", False)]
)
def test_stream_is_read_from_its_text(written: str, stream: bool) -> None:
    call = form_call(incoming(stream=written))
    assert (call.stream, call.body["stream"]) == (stream, stream)


@pytest.mark.parametrize("written", ["yes", "2", ["true", "true"]])
def test_another_text_is_no_stream(written: Any) -> None:
    with pytest.raises(BadRequest) as failure:
        form_call(incoming(stream=written))
    assert (failure.value.param, failure.value.code) == ("stream", "invalid_type")


def test_a_timeout_is_read_from_its_text_and_not_sent_on() -> None:
    call = form_call(incoming(timeout="2.5"))
    assert call.timeout_s == 2.5
    assert "timeout" not in call.body


@pytest.mark.parametrize("written", ["soon", "-1", "nan", "inf", "0"])
def test_a_timeout_that_is_none_is_named(written: str) -> None:
    with pytest.raises(BadRequest) as failure:
        form_call(incoming(timeout=written))
    assert failure.value.param == "timeout"


def test_a_file_may_be_in_any_of_its_fields() -> None:
    needs_file([file("image[]")], ("image", "image[]"), 10)
    with pytest.raises(BadRequest, match="'image'"):
        needs_file([file("mask")], ("image", "image[]"), 10)


def test_no_file_is_empty_or_too_large() -> None:
    needs_file([file(size=10)], ("file",), 10)
    with pytest.raises(BadRequest, match="empty"):
        needs_file([file(), file("mask", 0)], ("file",), 10)
    with pytest.raises(PayloadTooLarge, match=r"\(10\) exceeded \(11 bytes read\)"):
        needs_file([file(size=11)], ("file",), 10)


@pytest.mark.parametrize(
    ("fields", "name", "read"),
    [
        ({"drop_params": "true"}, "drop_params", True),
        ({"drop_params": "0"}, "drop_params", False),
        ({"allowed_openai_params": "size"}, "allowed_openai_params", ["size"]),
        ({"allowed_openai_params": ["size", "n"]}, "allowed_openai_params", ["size", "n"]),
        ({"allowed_openai_params[]": ["size"]}, "allowed_openai_params", ["size"]),
        ({"additional_drop_params[]": ["user"]}, "additional_drop_params", ["user"]),
    ],
)
def test_what_is_said_about_parameters_is_read_from_its_text(fields: dict[str, Any], name: str, read: Any) -> None:
    body = form_call(incoming(**fields)).body
    assert body[name] == read
    assert f"{name}[]" not in body


def test_a_truth_that_is_none_is_named() -> None:
    with pytest.raises(BadRequest) as failure:
        form_call(incoming(drop_params="perhaps"))
    assert failure.value.param == "drop_params"
