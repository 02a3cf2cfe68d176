"""How a resource keeps files, batches and fine-tuning jobs (Azure's "authoring"): limits, clock, quirks.

Limits: Azure OpenAI's "quotas and limits" and "batch" pages (2026).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

MIB = 1024 * 1024

JOB_STATUSES = ("surface", "azure", "openai")
QUIRKS: dict[str, str] = {
    "capital_statuses": "statuses of files and batches start with a capital letter: `Validating`",
    "iso_times": "times of batches are ISO 8601 strings instead of unix seconds",
    "empty_ids": "ids of files that a batch does not have are empty strings instead of null",
    "null_counts": "the request counts of a batch are null until it has ended",
    "null_endpoint": "the endpoint of a batch is null",
    "no_error_file": "a batch without failed lines has no error file, as OpenAI has it; Azure has one of 0 bytes",
    "no_output_file": "a completed batch has no output file",
    "duplicate_results": "the first of ten results stands twice in the output file",
    "missing_results": "the first of ten results is missing in the output file",
    "ordered_results": "results stand in the order of the requests",
    "unknown_status": "a batch in progress is `scaling_up`, which no document knows",
    "empty_deletes": "deleting a file answers 204 with an empty body on every surface",
}
"""What Azure was seen to do, or might: each by the name that switches it on."""


@dataclass(frozen=True, slots=True)
class Authoring:
    """The settings of one resource.

    Files: how many without and with an expiry, how large, and how long one is `pending`. Uploads: how large a part
    and the whole may be, and `upload_s`, how long one stays open. Batches: `batch_stage_s` is
    the time that validating, running and finalizing take at least, `batch_lines_per_s` how many lines run in a second,
    and `batch_cancel_s` how long cancelling takes; `batch_fails_fast`: a batch over the enqueued-token quota is a 400
    when it is created, else it fails after validation. Jobs: `job_stage_s` is the time that validating takes,
    `job_train_s` that of training; `job_statuses`: the words for them, `azure`'s or `openai`'s, or by the `surface`.
    """

    files_max: int = 500
    expiring_files_max: int = 10_000
    file_bytes_max: int = 512 * MIB
    batch_file_bytes_max: int = 200 * MIB
    file_pending_s: float = 0.0
    part_bytes_max: int = 512 * MIB
    upload_bytes_max: int = 9 * 1024 * MIB
    upload_s: float = 7200.0
    batch_lines_max: int = 100_000
    batch_stage_s: float = 0.4
    batch_lines_per_s: float = 20_000.0
    batch_cancel_s: float = 0.4
    batch_fails_fast: bool = False
    job_stage_s: float = 0.4
    job_train_s: float = 0.8
    job_examples_min: int = 10
    jobs_max: int = 100
    jobs_running_max: int = 3
    jobs_queued_max: int = 20
    job_statuses: str = "surface"
    quirks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        unknown = set(self.quirks) - set(QUIRKS)
        if unknown:
            raise ValueError(f"unknown quirks: {', '.join(sorted(unknown))}; known: {', '.join(QUIRKS)}")
        if self.job_statuses not in JOB_STATUSES:
            raise ValueError(f"job_statuses must be one of {JOB_STATUSES}")
        if self.batch_lines_per_s <= 0:
            raise ValueError("batch_lines_per_s must be positive")

    def has(self, quirk: str) -> bool:
        return quirk in self.quirks


_FIELDS = frozenset(f.name for f in fields(Authoring))


def authoring_from(data: Mapping[str, Any], base: Authoring | None = None) -> Authoring:
    """Settings from their JSON; `base` gives the values that are not named. Raises ValueError."""
    unknown = set(data) - _FIELDS
    if unknown:
        raise ValueError(f"unknown authoring settings: {', '.join(sorted(unknown))}")
    values = dict(data)
    if "quirks" in values:
        values["quirks"] = tuple(values["quirks"])
    return replace(base or Authoring(), **values)
