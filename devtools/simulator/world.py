"""The simulator's state, in one place: what a reset restores and a control call changes."""

from __future__ import annotations

import copy
import random
import string
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

from devtools.simulator import resources
from devtools.simulator.audio_store import AudioStore
from devtools.simulator.batches_store import BatchStore
from devtools.simulator.bill import Bill
from devtools.simulator.faults import Faults
from devtools.simulator.files_store import FileStore
from devtools.simulator.fine_tuning_store import JobStore
from devtools.simulator.identity import Identity
from devtools.simulator.limits import Limits
from devtools.simulator.pump import Pump
from devtools.simulator.recorder import Recorder
from devtools.simulator.resources import Resource, SettingsError
from devtools.simulator.responses_store import Store
from devtools.simulator.scratch import Scratch
from devtools.simulator.uploads_store import UploadStore

PREFIXES_MAX = 4096
PREFIX_CHARS = 4096
CACHE_TOKENS_MIN = 1024
CACHE_TOKENS_STEP = 128
_ID_ALPHABET = (string.ascii_letters + string.digits).encode()
_ID_CHARACTERS = bytes(_ID_ALPHABET[byte % len(_ID_ALPHABET)] for byte in range(256))


class World:
    """Resources, limits, bill, requests, faults, identity, all that is kept, and the clocks and seed they share.

    `settings` is `{"resources": {name: resource}}`; None means the default resources. Raises SettingsError.
    """

    def __init__(
        self,
        settings: Mapping[str, Any] | None = None,
        *,
        seed: int = 0,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        unknown = set(settings or {}) - {"resources"}
        if unknown:
            raise SettingsError(f"unknown settings: {', '.join(sorted(unknown))}")
        given = {
            name: resources.resource_from(name, data) for name, data in (settings or {}).get("resources", {}).items()
        }
        self._initial: dict[str, Resource] = given or resources.defaults()
        self._monotonic, self._wall = monotonic, wall
        self.seed = seed
        self.limits = Limits()
        self.bill = Bill()
        self.recorder = Recorder()
        self.faults = Faults(seed)
        self.identity = Identity(seed)
        self.responses = Store()
        self.audio = AudioStore()
        self.scratch = Scratch()
        self.files = FileStore(self.scratch)
        self.uploads = UploadStore()
        self.batches = BatchStore()
        self.jobs = JobStore()
        self.pump = Pump()
        self._ids = random.Random(seed)
        self.reset()

    def reset(self) -> None:
        """Everything as at the start, except that issued tokens stay valid and ids go on."""
        self.resources = copy.deepcopy(self._initial)
        self.responses.clear()
        self.audio.clear()
        self.batches.clear()
        self.jobs.clear()
        self.uploads.clear()
        self.files.clear()
        self._prefixes: OrderedDict[tuple[str, str, int], None] = OrderedDict()
        self._ahead_s = 0.0
        self.limits.clear()
        self.bill.clear()
        self.recorder.clear()
        self.faults.clear()
        self.identity.restore()

    def now(self) -> float:
        """Monotonic seconds, for windows."""
        return self._monotonic() + self._ahead_s

    def time(self) -> float:
        """Unix seconds, for what is written in answers and for token expiry."""
        return self._wall() + self._ahead_s

    def advance(self, seconds: float) -> None:
        """Lets both clocks jump ahead: windows roll over and tokens expire without waiting."""
        if seconds < 0:
            raise SettingsError("seconds must not be negative")
        self._ahead_s += seconds

    def uuid(self) -> str:
        """A random UUID (version 4)."""
        digits = f"{self._ids.getrandbits(128):032x}"
        variant = "89ab"[int(digits[16], 16) & 3]
        return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"

    def id(self, prefix: str, length: int) -> str:
        """An id such as `chatcmpl-` and `length` letters and digits."""
        return prefix + self._ids.randbytes(length).translate(_ID_CHARACTERS).decode()

    def hex_id(self, prefix: str, digits: int) -> str:
        """An id such as `resp_` and so many hexadecimal digits."""
        return f"{prefix}{self._ids.getrandbits(4 * digits):0{digits}x}"

    def cached_tokens(self, resource: str, deployment: str, prompt: str, tokens: int) -> int:
        """Tokens that prompt caching saves: steps of 128 of a prompt of 1,024 or more whose beginning was seen."""
        if tokens < CACHE_TOKENS_MIN:
            return 0
        key = (resource, deployment, hash(prompt[:PREFIX_CHARS]))
        seen = key in self._prefixes
        self._prefixes[key] = None
        self._prefixes.move_to_end(key)
        if len(self._prefixes) > PREFIXES_MAX:
            self._prefixes.popitem(last=False)
        return tokens // CACHE_TOKENS_STEP * CACHE_TOKENS_STEP if seen else 0
