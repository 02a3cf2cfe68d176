"""Loads what the first call needs in a thread of its own, once the app is indexed, and takes what stays for good out of
the garbage collector's sight.

Importing the app and serving its first call need different libraries. The app is indexed without those of sockets,
storage and sign-in; an instance that waits for its first call, as one that is always ready does, has them loaded by
then, and a call that comes sooner waits for no more than it would have waited at the start.

Half a million objects of modules, classes and clients live as long as the process. Python's collector walks through all
of them each time it looks for old garbage: 60 to 100 ms in which no call moves on, and a sixth of the CPU at full load.
`gc.freeze` puts them aside; only what is made later is looked through, and seldom: a call leaves no cycles behind
(tests/operations/test_garbage.py), so that there is little to find.
"""

from __future__ import annotations

import gc
import importlib
import logging
import threading
import time
from collections.abc import Sequence

from shared.plan import Plan

log = logging.getLogger("spillway")

SOCKETS = ("shared.upstream.sockets", "httpx", "cryptography.hazmat.primitives.ciphers.aead")
STORAGE = ("azure.data.tables.aio", "shared.storage.reads", "azure.storage.blob.aio")
SIGN_IN = ("azure.identity.aio",)
FREEZE_AFTER_S: tuple[float, ...] = (0.0, 3.0, 15.0, 60.0)
"""After the libraries were loaded: the first calls make clients and caches that stay as well."""
YOUNG_MAX = 20_000
"""So many objects more than at the last look begin the next one. Python's own 2,000 are those of some twenty calls."""
_KEYS = frozenset({"api_key", "token"})
"""Kinds of credentials that sign in nowhere."""


def libraries(plan: Plan) -> tuple[str, ...]:
    """The modules that the calls of this configuration will need."""
    storage = plan.storage
    signs_in = any(entry.credentials.kind not in _KEYS for entry in plan.config.entries) or (
        storage is not None and storage.connection_string is None
    )
    return (*SOCKETS, *(STORAGE if storage is not None else ()), *(SIGN_IN if signs_in else ()))


def start(plan: Plan) -> threading.Thread:
    """Begins to load; returns at once. Whoever needs a module meanwhile waits for it by importing it."""
    thread = threading.Thread(target=_load, args=(libraries(plan),), name="spillway warm-up", daemon=True)
    thread.start()
    threading.Thread(target=_freeze, args=(thread,), name="spillway freeze", daemon=True).start()
    return thread


def _freeze(loading: threading.Thread) -> None:
    loading.join()
    started = time.monotonic()
    gc.set_threshold(YOUNG_MAX, *gc.get_threshold()[1:])
    for after_s in FREEZE_AFTER_S:
        time.sleep(max(0.0, started + after_s - time.monotonic()))
        gc.freeze()


def _load(names: Sequence[str]) -> None:
    for name in names:
        try:
            importlib.import_module(name)
        except Exception as error:  # whoever needs it is told by its own import
            log.debug("%s was not loaded ahead: %s", name, error)
