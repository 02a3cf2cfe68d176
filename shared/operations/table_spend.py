"""The operations on what was spent."""

from __future__ import annotations

from shared.operations import spend
from shared.operations.calculate import calculate
from shared.operations.operation import Operation

SPEND_LOGS = Operation(
    name="spend_logs",
    method="GET",
    path="spend/logs",
    root="",
    summary="Every attempt and what it cost, page by page; a virtual key sees its own",
    serve=spend.spend_logs,
)
SPEND_CALCULATE = Operation(
    name="spend_calculate",
    method="POST",
    path="spend/calculate",
    root="",
    summary="What a request would cost, or an answer did; nothing is sent",
    serve=calculate,
    master=True,
)
GLOBAL_SPEND = Operation(
    name="global_spend",
    method="GET",
    path="global/spend",
    root="",
    summary="What was spent in all",
    serve=spend.global_spend,
    master=True,
)
GLOBAL_SPEND_KEYS = Operation(
    name="global_spend_keys",
    method="GET",
    path="global/spend/keys",
    root="",
    summary="What each key spent, the most first",
    serve=spend.global_spend_keys,
    master=True,
)
GLOBAL_SPEND_MODELS = Operation(
    name="global_spend_models",
    method="GET",
    path="global/spend/models",
    root="",
    summary="What was spent on each model, the most first",
    serve=spend.global_spend_models,
    master=True,
)
GLOBAL_ACTIVITY = Operation(
    name="global_activity",
    method="GET",
    path="global/activity",
    root="",
    summary="Requests and tokens by day",
    serve=spend.global_activity,
    master=True,
)
USER_DAILY_ACTIVITY = Operation(
    name="user_daily_activity",
    method="GET",
    path="user/daily/activity",
    root="",
    summary="Use and spend by day, model, deployment and key",
    serve=spend.daily_activity,
    master=True,
)

SPEND_OPERATIONS = (
    SPEND_LOGS,
    SPEND_CALCULATE,
    GLOBAL_SPEND,
    GLOBAL_SPEND_KEYS,
    GLOBAL_SPEND_MODELS,
    GLOBAL_ACTIVITY,
    USER_DAILY_ACTIVITY,
)
