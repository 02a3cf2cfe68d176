"""Stand-ins for the gRPC messages that azure-functions-runtime reads and builds: attributes, enums, `WhichOneof`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, ClassVar


class Message(SimpleNamespace):
    """Any message: its fields are attributes."""


class StatusResult(Message):
    Failure, Success, Cancelled = 0, 1, 2


class BindingInfo(Message):
    # `in` is a keyword; the runtime compares with the other two only.
    out, inout = 1, 2
    undefined: ClassVar[int] = 0


class OneOf(Message):
    """A message of which one field is set; an empty one has none."""

    def WhichOneof(self, group: str) -> str | None:
        return next(iter(vars(self)), None)


# What the runtime looks up in the `protos` of its init request.
PROTOS = SimpleNamespace(
    StatusResult=StatusResult,
    BindingInfo=BindingInfo,
    RpcException=Message,
    RpcFunctionMetadata=Message,
    WorkerMetadata=Message,
    WorkerInitResponse=Message,
    FunctionMetadataResponse=Message,
    FunctionLoadResponse=Message,
    InvocationResponse=Message,
)


def init_request(app_dir: str, address: str) -> Message:
    """`address` is where the worker's own HTTP server shall listen."""
    init = Message(capabilities={}, function_app_directory=app_dir)
    return Message(request=Message(worker_init_request=init), properties={"host": address, "protos": PROTOS})


def load_request(function_id: str) -> Message:
    return Message(request=Message(function_load_request=Message(function_id=function_id)))


def http_invocation(function_id: str, invocation_id: str, parameter: str, params: Mapping[str, str]) -> Message:
    """With the HttpUri capability gRPC carries the route parameters; all else comes over HTTP."""
    http = Message(method="", url="", headers={}, params=dict(params), query={}, body=OneOf())
    return _invocation(function_id, invocation_id, parameter, OneOf(http=http))


def timer_invocation(function_id: str, invocation_id: str, parameter: str) -> Message:
    timer = json.dumps({"IsPastDue": False, "Schedule": {"AdjustForDST": True}, "ScheduleStatus": None})
    return _invocation(function_id, invocation_id, parameter, OneOf(json=timer))


def _invocation(function_id: str, invocation_id: str, parameter: str, value: OneOf) -> Message:
    invocation = Message(
        function_id=function_id,
        invocation_id=invocation_id,
        input_data=[_Binding(name=parameter, data=value)],
        trigger_metadata={},
        trace_context=Message(trace_parent="", trace_state="", attributes={}),
        retry_context=Message(retry_count=0, max_retry_count=0, exception=None),
    )
    return Message(request=Message(invocation_request=invocation))


class _Binding(Message):
    def WhichOneof(self, group: str) -> Any:
        return "data"
