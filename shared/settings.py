"""What the environment says of this app, apart from the configuration file. Read once, at the start."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields

from shared.errors import ConfigError

DEVELOPMENT_SECRET = "spillway development"  # noqa: S105
CHOICES: Mapping[str, tuple[str, ...]] = {"ledger": ("before_reply", "before_send", "async")}
"""Settings that are one of several words."""


@dataclass(frozen=True, slots=True)
class Settings:
    """App settings. Every field is an environment variable of the same name with the prefix `SPILLWAY_`.

    `allow_anonymous`: true serves anybody, without a key.
    `edge_timeout_s`: a buffered call is answered 504 after so many seconds; Azure's front end cuts at 230.
    `stream_total_s`: the longest stream; host.json ends an invocation, and with it the worker, after 30 minutes.
    `hold_back_s`: how long a stream's first, dataless events are held back so that a failure can still fail over.
    `calls_max`: calls under way on one instance; the next one is answered 503.
    `connections_max`: upstream sockets of one instance; a call over them waits for one.
    `id_secret`: what ids are sealed with, the master key when it is empty; several, with commas between them: the
    first seals, all open.
    `ledger`: when an attempt must be in the ledger: `before_reply`, the first byte of its answer; `before_send`, the
    attempt itself, else 503; `async`, nothing waits for it.
    `ledger_interval_ms`: milliseconds between two writes of the ledger; what comes in between is written together.
    `ledger_days`: days after which entries and totals are removed.
    `log_prompts`: true writes what callers send (messages, input, prompt, instructions) to the log, cut to 8,192
    characters a call; without it no content is ever written.
    """

    allow_anonymous: bool = False
    edge_timeout_s: float = 225.0
    stream_total_s: float = 1740.0
    hold_back_s: float = 1.0
    calls_max: int = 2000
    connections_max: int = 1000
    id_secret: str = field(default="", repr=False)
    ledger: str = "before_reply"
    ledger_interval_ms: int = 3
    ledger_days: int = 400
    log_prompts: bool = False

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> Settings:
        """Settings from the environment. Raises ConfigError naming every variable that cannot be read."""
        problems: list[str] = []
        values: dict[str, bool | float | int | str] = {}
        for setting in fields(cls):
            name, default = setting.name, setting.default
            variable = f"SPILLWAY_{name.upper()}"
            written = environ.get(variable, "").strip()
            if not written:
                continue
            try:
                values[name] = _parse(written, default, CHOICES.get(name, ()))
            except ValueError as error:
                problems.append(f"{variable}: found {written!r}, expected {error}")
        if problems:
            raise ConfigError(problems)
        return cls(**values)  # type: ignore[arg-type]

    def id_secrets(self, master_key: str | None) -> tuple[str, ...]:
        """The secrets that seal ids, at least one: without any and without a master key, one that is no secret."""
        own = tuple(part.strip() for part in self.id_secret.split(",") if part.strip())
        return own or (master_key or DEVELOPMENT_SECRET,)


def _parse(written: str, default: object, choices: Sequence[str]) -> bool | float | int | str:
    if choices and written not in choices:
        raise ValueError("one of " + ", ".join(choices))
    if isinstance(default, str):
        return written
    if isinstance(default, bool):
        if written.lower() not in {"true", "false", "1", "0"}:
            raise ValueError("true or false")
        return written.lower() in {"true", "1"}
    kind: type[int] | type[float] = int if isinstance(default, int) else float
    expected = "a whole number above 0" if kind is int else "a number of seconds above 0"
    try:
        number = kind(written)
    except ValueError:
        raise ValueError(expected) from None
    if not 0 < number < float("inf"):
        raise ValueError(expected)
    return number
