"""What the model behind a deployment can do: rows of capabilities.json, and which row a configured name means.

Azure names a deployment freely, so its name alone says little. A row is found by the configured base_model, else by
a known name, else by whole words of the deployment's name, never by a part of a word. What is not known may do
everything: Azure then judges.

A row of the file has the fields of Capability, and `is` (the row of `bases` that it completes), `names` (other exact
names), `infer: false` (its name is too common to be found inside a deployment's name). `rules` and `renames` are
merged with those of `is`, operation by operation and parameter by parameter; null takes an inherited one away.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import orjson

from shared.catalog.media import ChatAudioRules, ImageRules, SpeechRules, TranscriptionRules, Values, values_of
from shared.catalog.names import NameTable
from shared.catalog.values import SizeRule

_FILE = Path(__file__).with_name("capabilities.json")
_NONE: Mapping[Any, Any] = MappingProxyType({})

How = Literal["base_model", "exact", "token", "hint", "unknown"]
"""How a row was found; `token` is an inference, to be said once in the log."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What a model takes for one parameter; with neither list it takes no value at all.

    `accepts` are the values that it takes. A `neutral` value says what the model does anyhow, but Azure refuses the
    parameter whatever its value, so it is left out. The rule is off while the reasoning effort is one of
    `free_efforts`, and on only for `only_efforts` when there are any.
    """

    accepts: tuple[Any, ...] = ()
    neutral: tuple[Any, ...] = ()
    free_efforts: frozenset[str] = frozenset()
    only_efforts: frozenset[str] = frozenset()

    def holds(self, effort: str | None) -> bool:
        """Whether the rule is on for a call with this reasoning effort, None when it is not known."""
        return effort not in self.free_efforts and (not self.only_efforts or effort in self.only_efforts)


@dataclass(frozen=True, slots=True)
class Capability:
    """One row. None means that it is not known, and then nothing is refused for it.

    `operations` are names of shared.catalog.api_versions. `streaming` holds the operations that cannot stream.
    `rules` and `renames` are by operation, then parameter. `roles` says what a message role is sent as, `roles_mixed`
    what it is sent as when a chat has system and developer messages. `efforts` are the values of the reasoning
    effort, `effort_default` the one of a call that names none. `tokens_in` and `tokens_out` are the context window.
    `series` is the family that `azure/o_series/` or `azure/gpt5_series/` forces. `source` says who says so. What models
    of images and audio take is in `image`, `speech`, `transcription` and `audio`.
    """

    name: str
    source: str
    series: str | None = None
    operations: frozenset[str] | None = None
    reasoning: bool = False
    streaming: Mapping[str, bool] = field(default_factory=lambda: _NONE)
    rules: Mapping[str, Mapping[str, Rule]] = field(default_factory=lambda: _NONE)
    renames: Mapping[str, Mapping[str, str]] = field(default_factory=lambda: _NONE)
    roles: Mapping[str, str] = field(default_factory=lambda: _NONE)
    roles_mixed: Mapping[str, str] = field(default_factory=lambda: _NONE)
    efforts: tuple[str, ...] | None = None
    effort_default: str | None = None
    tools: bool | None = None
    parallel_tools: bool | None = None
    images: bool | None = None
    tokens_in: int | None = None
    tokens_out: int | None = None
    image: ImageRules | None = None
    speech: SpeechRules | None = None
    transcription: TranscriptionRules | None = None
    audio: ChatAudioRules | None = None
    _values: Mapping[tuple[str, bool], Values] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_values", values_of(self.image, self.speech, self.transcription, self.audio))

    def serves(self, operation: str) -> bool:
        """Whether the model may be asked for `operation`; true for a model that is not known."""
        return self.operations is None or operation in self.operations

    def streams(self, operation: str) -> bool:
        """Whether the model itself streams `operation`; where it cannot, a stream is made of its whole answer."""
        return self.streaming.get(operation, True)

    def values(self, operation: str, *, streamed: bool) -> Values:
        """What the model takes for parameters of `operation`, where that is known."""
        return self._values.get((operation, streamed), _NONE)

    def at_openai(self) -> Capability:
        """The same model at OpenAI itself, which has voices and formats that Azure has not."""
        if self.image is None and self.speech is None:
            return self
        return replace(
            self,
            image=self.image and self.image.at_openai(),
            speech=self.speech and self.speech.at_openai(),
        )

    @property
    def max_tokens_field(self) -> str:
        """What a chat calls the bound of its answer."""
        names: Mapping[str, str] = self.renames.get("chat_completions", _NONE)
        return names.get("max_tokens", "max_tokens")


@dataclass(frozen=True, slots=True)
class Resolved:
    """A capability and how it was found; `name` is the known name that was met, "" for `hint` and `unknown`."""

    capability: Capability
    name: str
    how: How


UNKNOWN = Capability(name="unknown", source="not in the table: nothing is refused, renamed or simulated")


def resolve(base_model: str | None, deployment: str, family_hint: str | None) -> Resolved:
    """The row for a deployment: its base_model, else its exact name, else whole words of its name.

    A `family_hint` (`o_series`, `gpt5_series`) forces the family: a row found of that family stays, because it is
    more exact, any other gives way to the family's own. A base_model that is not known is not second-guessed by the
    deployment's name. Other hints (`responses`) say nothing about the model.
    """
    table = _table()
    found = _found(table, base_model, deployment)
    forced = table.hints.get(family_hint or "")
    if forced is not None and found.capability.series != family_hint:
        return Resolved(forced, "", "hint")
    return found


def rows() -> Mapping[str, Capability]:
    """Every row by its own name."""
    return _table().rows


@dataclass(frozen=True, slots=True)
class _Table:
    rows: Mapping[str, Capability]
    hints: Mapping[str, Capability]
    names: NameTable


def _found(table: _Table, base_model: str | None, deployment: str) -> Resolved:
    if base_model is not None:
        known = table.names.exact(base_model)
        return Resolved(table.rows[known[1]], known[0], "base_model") if known else Resolved(UNKNOWN, "", "unknown")
    if known := table.names.exact(deployment):
        return Resolved(table.rows[known[1]], known[0], "exact")
    if known := table.names.inferred(deployment):
        return Resolved(table.rows[known[1]], known[0], "token")
    return Resolved(UNKNOWN, "", "unknown")


@cache
def _table() -> _Table:
    """The file, read on first use."""
    raw = orjson.loads(_FILE.read_bytes())
    models: dict[str, dict[str, Any]] = raw["models"]
    bases: dict[str, dict[str, Any]] = {}
    for name, row in raw["bases"].items():
        bases[name] = _completed(row, bases)
    names = {name: own for own, row in models.items() for name in (own, *row.get("names", ()))}
    common = {name for name, own in names.items() if not models[own].get("infer", True)}
    return _Table(
        rows={name: _capability(name, _completed(row, bases)) for name, row in models.items()},
        hints={hint: _capability(base, bases[base]) for hint, base in raw["hints"].items()},
        names=NameTable(names, raw["rewrites"], raw["spellings"], not_inferred=common),
    )


def _completed(row: dict[str, Any], bases: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """`row` on top of the base that it names; a base is written above those that complete it."""
    base = bases[row["is"]] if "is" in row else {}
    full = {**base, **row}
    for key in ("rules", "renames"):
        merged = {operation: dict(values) for operation, values in base.get(key, {}).items()}
        for operation, values in row.get(key, {}).items():
            merged[operation] = {**merged.get(operation, {}), **values}
        full[key] = merged
    if "source" in base:
        full["source"] = f"{row['source']}; {base['source']}"
    return full


def _capability(name: str, row: dict[str, Any]) -> Capability:
    fields = {key: value for key, value in row.items() if key not in ("is", "names", "infer")}
    for key, kind in _MEDIA.items():
        if key in fields:
            fields[key] = kind(**{part: _frozen(value) for part, value in fields[key].items()})
    fields["rules"] = {
        operation: {parameter: _rule(rule) for parameter, rule in values.items() if rule is not None}
        for operation, values in row["rules"].items()
    }
    fields["operations"] = frozenset(row["operations"])
    fields["efforts"] = _frozen(row.get("efforts"))
    return Capability(name=name, **fields)


def _rule(raw: dict[str, list[Any]]) -> Rule:
    return Rule(
        accepts=tuple(raw.get("accepts", ())),
        neutral=tuple(raw.get("neutral", ())),
        free_efforts=frozenset(raw.get("free_efforts", ())),
        only_efforts=frozenset(raw.get("only_efforts", ())),
    )


def _frozen(value: Any) -> Any:
    if isinstance(value, dict):
        return SizeRule(**value)
    return tuple(value) if isinstance(value, list) else value


_MEDIA: Mapping[str, Any] = {
    "image": ImageRules,
    "speech": SpeechRules,
    "transcription": TranscriptionRules,
    "audio": ChatAudioRules,
}
