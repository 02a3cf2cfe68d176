"""Tames the web server that Microsoft's extension runs in the worker; imported before any function is indexed.

`azurefunctions-extensions-http-fastapi` builds `FastAPI()` and `uvicorn.Config(app, host=, port=)` with their
defaults. FastAPI's own `/docs`, `/redoc`, `/openapi.json` and `/docs/oauth2-redirect` then answer before any
function sees the request, and the invocation waits for ever for a request that never comes: a hang that anyone can
cause. uvicorn's defaults write an access line per call, name the server, and close idle connections after 5 s while
the host's pool keeps them for a minute. The extension has no setting for either, so its two names are replaced.
"""

from __future__ import annotations

import functools
import os
from types import SimpleNamespace
from typing import Any

import fastapi
import uvicorn
from azurefunctions.extensions.http.fastapi import web

EXTENSION_VERSION_KNOWN = "1.0.1"
BATCH_SCHEDULE = "SPILLWAY_BATCH_SCHEDULE"
"""The app setting with the NCRONTAB schedule of the timer `batches`."""


def schedule(setting: str, default: str) -> str:
    """A timer's schedule: an app setting, as the host reads it, or the default where there is no such setting, which
    the host would refuse to load."""
    return f"%{setting}%" if os.environ.get(setting) else default


def tame() -> None:
    """Replaces the `FastAPI` and `uvicorn` that the extension's module uses, and only those. May be called twice.

    Raises RuntimeError when the extension no longer has the two names: better no start than a remote hang.
    """
    module: Any = web
    if not hasattr(module, "FastAPI") or not hasattr(module, "uvicorn"):
        raise RuntimeError(
            "azurefunctions-extensions-http-fastapi has changed: its web server cannot be tamed. "
            f"Known to work: {EXTENSION_VERSION_KNOWN}."
        )
    module.FastAPI = functools.partial(fastapi.FastAPI, docs_url=None, redoc_url=None, openapi_url=None)
    module.uvicorn = SimpleNamespace(
        Config=functools.partial(
            uvicorn.Config, access_log=False, server_header=False, timeout_keep_alive=75, log_level="warning"
        ),
        Server=uvicorn.Server,
    )
