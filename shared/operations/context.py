"""What an operation is given that the gateway answers itself, without asking a deployment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from starlette.requests import Request

from shared.admin.books import Books
from shared.admin.doctor import Doctor
from shared.batches.service import Batches
from shared.callers.caller import Caller
from shared.callers.keys import Keys
from shared.files.files import Files
from shared.jobs.tuning import Tuning
from shared.operations.health import Health
from shared.operations.speech_store import SpeechStore
from shared.routing.router import Router
from shared.seal import Seal
from shared.telemetry import CallRecord
from shared.telemetry.telemetry import Telemetry


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of the running gateway that such operations use; one for all calls. `keys` None: there is no storage
    account for any."""

    router: Router
    health: Health
    speech: SpeechStore
    books: Books
    files: Files
    keys: Keys | None
    telemetry: Telemetry
    doctor: Doctor
    batches: Batches
    tuning: Tuning


@dataclass(frozen=True, slots=True)
class Context:
    """One request. `params` are what stands for the braces of the path; `seal` seals and opens ids for `caller`.

    The caller was told by its key, and holds the master key where the operation asks for it.
    """

    parts: Parts
    caller: Caller
    seal: Seal
    params: Mapping[str, str]
    request: Request
    record: CallRecord
