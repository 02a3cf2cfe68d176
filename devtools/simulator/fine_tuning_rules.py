"""What a fine-tuning job may be asked for, and what its training file must be."""

from __future__ import annotations

from typing import Any

import orjson

from devtools.simulator import authoring_errors
from devtools.simulator.batch_run import let_others
from devtools.simulator.files_store import StoredFile
from devtools.simulator.models import MODELS, Model

TUNABLE = ("gpt-4o", "gpt-4o-mini", "gpt-4.1", "gpt-4.1-mini", "gpt-35-turbo", "o4-mini")
METHODS = ("supervised", "dpo", "reinforcement")
EPOCHS_AUTO, EPOCHS_MAX = 3, 25
BATCH_SHARE = 500
"""A batch size of `auto` is 0.2 % of the examples."""
BATCH_SIZE_MAX = 256
LINES_PARSED_MAX = 1000
LINE_BYTES_MAX = 16 * 1024 * 1024
BOM = b"\xef\xbb\xbf"


def base_of(name: object) -> Model:
    """The model of a base model's name, with or without its version; raises AzureError 400."""
    for model in MODELS.values():
        if model.name in TUNABLE and name in (model.name, f"{model.name}-{model.version}"):
            return model
    raise authoring_errors.invalid_payload(f"The model '{name}' is not available for fine-tuning.")


def method_of(body: dict[str, Any]) -> str:
    """The type of `method`; raises AzureError 400."""
    method = body.get("method") or {}
    kind = method.get("type", METHODS[0]) if isinstance(method, dict) else None
    if kind not in METHODS:
        raise authoring_errors.invalid_payload(f"Invalid method: it must be one of {', '.join(METHODS)}.")
    return str(kind)


def hyperparameters_of(body: dict[str, Any], method: str) -> dict[str, Any]:
    """`hyperparameters` of the method, or else of the body; raises AzureError 400."""
    inner = (body.get("method") or {}).get(method) or {}
    given = inner.get("hyperparameters") if isinstance(inner, dict) else None
    given = given or body.get("hyperparameters") or {}
    if not isinstance(given, dict):
        raise authoring_errors.invalid_payload("Invalid hyperparameters: expected an object.")
    for name, most in (("n_epochs", EPOCHS_MAX), ("batch_size", BATCH_SIZE_MAX)):
        value = given.get(name)
        if value in (None, "auto", -1):
            continue
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
            raise authoring_errors.invalid_payload(f"Invalid {name}: it must be from 1 to {most}, or auto.")
    return given


def settled(given: dict[str, Any], examples: int) -> dict[str, Any]:
    """The hyperparameters with every `auto` decided."""

    def chosen(name: str, default: float) -> Any:
        value = given.get(name)
        return default if value in (None, "auto", -1) else value

    return {
        "n_epochs": chosen("n_epochs", EPOCHS_AUTO),
        "batch_size": chosen("batch_size", min(BATCH_SIZE_MAX, max(1, examples // BATCH_SHARE))),
        "learning_rate_multiplier": chosen("learning_rate_multiplier", 1.0),
    }


async def examples_of(file: StoredFile, examples_min: int) -> tuple[int, str | None]:
    """How many examples a training file has, and what is wrong with it; only its first lines are looked at closely."""
    count = 0
    with file.path.open("rb") as source:
        while raw := source.readline(LINE_BYTES_MAX):
            if count == 0:
                raw = raw.removeprefix(BOM)
            if not raw.strip():
                continue
            count += 1
            if count <= LINES_PARSED_MAX and not _is_example(raw):
                return count, f"Line {count} of the training file is not a JSON object with an example."
            if count % LINES_PARSED_MAX == 0:
                await let_others()
    if count < examples_min:
        return count, f"Training file has {count} example(s), but must have at least {examples_min} examples."
    return count, None


def _is_example(raw: bytes) -> bool:
    try:
        example = orjson.loads(raw)
    except ValueError:
        return False
    return isinstance(example, dict) and bool(example.keys() & {"messages", "prompt", "input"})
