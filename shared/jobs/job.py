"""A fine-tuning job as it is kept: one document under one ETag, so that a change of it happens whole or not at all.

placing → uploading → uploaded → submitting → open → ended

uploading, submitting   what the job's holder is about to do. Whoever takes the job over from somebody who died
                        looks first whether it was done: files and jobs of the resource name ours (doubtful)
open                    the resource has it, and is asked now and then how far it is
ended                   its results are copied, its tokens entered in the ledger, its files removed at the resource
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields, replace
from typing import Any, Literal

import orjson

State = Literal["placing", "uploading", "uploaded", "submitting", "doubtful", "open", "ended"]
BEFORE = frozenset({"placing", "uploading", "uploaded"})
"""The resource has nothing of it but files."""
ENDED = frozenset({"succeeded", "failed", "cancelled"})


@dataclass(frozen=True, slots=True)
class Rates:
    """What training costs, in picodollars a token and an hour, as it was when the job was made; None: not known."""

    token: int | None = None
    hour: int | None = None
    source: str = "none"


@dataclass(frozen=True, slots=True)
class Job:
    """One job. Times are in seconds since 1970.

    `owner`, `alias` and `tags` say whom it is charged to; `model` and `region` are what was asked for, `request` is the
    rest of it, without the files. `training` and `validation` are our files. `deployment` is one of the resource that
    has the job, or shall have it, under its `label`, and `base` the model that is named there; `refused` are the
    resources that did not take it, `refusal` says why. `files` are our files' ids at the resource, `job` is the job's
    own there, and `seen` what was last told of it. `stop`: it is to be cancelled, although no resource has it.
    `results` pairs the resource's files of results with ours. `copied`, `entered` and `cleaned` are done after its end.
    Nothing is done before `due`; `trouble` counts failures in a row. `holder` works on it until `held_until`. `hidden`:
    it was refused while its caller waited, who was told so; nobody else sees it. `budgeted`: a virtual key's, whose row
    has the job as a task (callers.tasks).
    """

    id: str
    owner: str
    model: str
    training: str
    created_at: float
    validation: str = ""
    alias: str = ""
    tags: tuple[str, ...] = ()
    region: str = ""
    request: Mapping[str, Any] = field(default_factory=dict)
    state: State = "placing"
    since: float = 0.0
    deployment: str = ""
    label: str = ""
    resource: str = ""
    base: str = ""
    rates: Rates = Rates()
    refused: tuple[str, ...] = ()
    refusal: Mapping[str, Any] | None = None
    files: Mapping[str, str] = field(default_factory=dict)
    job: str = ""
    seen: Mapping[str, Any] = field(default_factory=dict)
    asked_at: float = 0.0
    stop: bool = False
    results: tuple[tuple[str, str], ...] = ()
    copied: bool = False
    entered: bool = False
    cleaned: bool = False
    due: float = 0.0
    trouble: int = 0
    holder: str = ""
    held_until: float = 0.0
    hidden: bool = False
    budgeted: bool = False

    @property
    def name(self) -> str:
        """The hex digits of its id."""
        return self.id[-32:]

    @property
    def status(self) -> str:
        """Its status in OpenAI's words."""
        return str(self.seen.get("status") or "validating_files")

    @property
    def over(self) -> bool:
        """Whether nothing more is to be done for it."""
        return self.state == "ended" and self.copied and self.entered and self.cleaned

    def at(self, state: State, now: float, **changes: Any) -> Job:
        """The job in another state."""
        return replace(self, state=state, since=now, **changes)

    def upstream_name(self, which: str) -> str:
        """What a file of it is called at a resource."""
        return f"spillway-{self.name}-{which}.jsonl"

    def ends(self, status: str, now: float, error: Mapping[str, Any] | None = None) -> Job:
        """The job as one that no resource trains: nothing was trained."""
        seen = {**self.seen, "status": status, "error": error, "finished_at": int(now)}
        return self.at("ended", now, seen=seen, copied=True, entered=True, due=0.0, trouble=0)


def encoded(job: Job) -> bytes:
    """The document as bytes; only what differs from its default is written."""
    told = ((one, getattr(job, one.name)) for one in fields(job))
    written = {
        one.name: value
        for one, value in told
        if (one.default is MISSING and one.default_factory is MISSING) or (value and value != one.default)
    }
    if "rates" in written:
        written["rates"] = [job.rates.token, job.rates.hour, job.rates.source]
    return zlib.compress(orjson.dumps(written), 1)


def decoded(payload: bytes) -> Job:
    """The job of a document. Fields that a newer Spillway added are passed over."""
    names = {one.name for one in fields(Job)}
    values = {name: value for name, value in orjson.loads(zlib.decompress(payload)).items() if name in names}
    if "rates" in values:
        values["rates"] = Rates(*values["rates"])
    for name in ("tags", "refused"):
        values[name] = tuple(values.get(name, ()))
    values["results"] = tuple((theirs, ours) for theirs, ours in values.get("results", ()))
    return Job(**values)
