"""`GET /health/doctor`: the configuration against reality, and what to do."""

from __future__ import annotations

import orjson

from shared.admin.findings import report
from shared.operations.context import Context
from shared.operations.reply import BufferedReply


async def doctor(context: Context) -> BufferedReply:
    """The report of an examination. Its status is 200 whatever it finds; `healthy` says whether anything is broken."""
    findings = await context.parts.doctor.examine()
    return BufferedReply(200, orjson.dumps(report(findings)), {"cache-control": "no-store"})
