"""A small Azure Functions host: serves `function_app.py` without Core Tools, in the platform's own order and limits."""

from devtools.host.app import Host, create_host

__all__ = ["Host", "create_host"]
