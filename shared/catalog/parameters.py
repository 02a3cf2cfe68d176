"""One request's parameters made fit for one model: renamed, left out, refused or passed, by the table's rules.

Only what the table names is touched, so a model that is not known, an Azure extra (`data_sources`,
`user_security_context`) and a parameter that OpenAI adds tomorrow pass as they came. Pure: no I/O, no mutation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from shared.catalog.capabilities import Capability, Rule
from shared.catalog.media import Values
from shared.catalog.paths import without
from shared.catalog.policy import ParameterPolicy
from shared.errors import BadRequest, quoted

_SYSTEM_ROLES = frozenset({"system", "developer"})
_EFFORTS = {"chat_completions": "reasoning_effort", "responses": "reasoning.effort"}
_MESSAGES = {"chat_completions": "messages", "responses": "input"}
FOUND_CHARS_MAX = 60
"""What an error shows of a value."""
_NEVER_DROPPED = frozenset({"model", "stream"})  # the gateway has already acted on them


@dataclass(frozen=True, slots=True)
class Applied:
    """`body` is new, what lies in it may be shared with the request. `dropped` are paths that the policy took out,
    `omitted` parameters that only said what the model does anyhow, `renamed` pairs of old and new name.
    `simulate_stream`: the caller wants a stream, the model cannot, and `body` asks for a whole answer."""

    body: dict[str, Any]
    dropped: tuple[str, ...] = ()
    omitted: tuple[str, ...] = ()
    renamed: tuple[tuple[str, str], ...] = ()
    simulate_stream: bool = False


def apply(
    body: Mapping[str, Any], operation: str, capability: Capability, policy: ParameterPolicy, model_name: str
) -> Applied:
    """`body` as the model wants it. JSON, or the text fields of a form, where a list may be named `name[]`.

    `operation` is a name of shared.catalog.api_versions. `model_name` is what the caller calls the model. Raises
    BadRequest (`unsupported_parameter`, `unsupported_value`, `invalid_value`), naming parameter, model and setting.
    """
    work = _Work(dict(body), policy, model_name)
    work.drop_additional()
    work.rename(capability.renames.get(operation, {}))
    work.roles(operation, capability)
    effort = work.effort(operation, capability)
    for parameter in list(work.body):
        rule = capability.rules.get(operation, {}).get(parameter.removesuffix("[]"))
        if rule is not None and rule.holds(effort):
            work.check(parameter, rule)
    work.values(capability.values(operation, streamed=body.get("stream") is True))
    simulate = work.whole_answer() if not capability.streams(operation) else False
    return Applied(work.body, tuple(work.dropped), tuple(work.omitted), tuple(work.renamed), simulate)


@dataclass(slots=True)
class _Work:
    """A body while it is changed: its top level is our own, everything below is replaced, never changed."""

    body: dict[str, Any]
    policy: ParameterPolicy
    model_name: str
    dropped: list[str] = field(default_factory=list)
    omitted: list[str] = field(default_factory=list)
    renamed: list[tuple[str, str]] = field(default_factory=list)

    def drop_additional(self) -> None:
        for path in sorted(self.policy.additional_drop - _NEVER_DROPPED, reverse=True):  # [1] before [0]
            changed = without(self.body, path)
            if changed is not None:
                self.body = changed
                self.dropped.append(path)

    def rename(self, names: Mapping[str, str]) -> None:
        """Old names to new ones. When both are there with different bounds, only a policy that drops may choose."""
        for old, new in names.items():
            if old not in self.body or old in self.policy.allowed:
                continue
            value, present = self.body.pop(old), self.body.get(new)
            if value is None:
                continue
            if new in self.policy.additional_drop:
                self.dropped.append(old)
            elif present is None:
                self.body[new] = value
                self.renamed.append((old, new))
            elif _same(value, present):
                self.omitted.append(old)
            elif self.policy.drop:
                self.dropped.append(old)
            else:
                raise BadRequest(
                    f"`{old}` and `{new}` are both set and differ. Model `{self.model_name}` takes `{new}` only; "
                    f"with `drop_params: true` it wins.",
                    param=old,
                    code="invalid_value",
                )

    def roles(self, operation: str, capability: Capability) -> None:
        """Roles that the model does not know, or does not know together, in the messages of a chat or an input."""
        name = _MESSAGES.get(operation, "")
        messages = self.body.get(name)
        if not isinstance(messages, list) or self._allowed(name):
            return
        present = {role for message in messages if (role := _role(message)) in _SYSTEM_ROLES}
        sent_as = dict(capability.roles) if operation == "chat_completions" else {}
        if present == _SYSTEM_ROLES:
            sent_as |= capability.roles_mixed
        if not present.isdisjoint(sent_as):
            self.body[name] = [
                {**message, "role": sent_as[role]} if (role := _role(message)) in sent_as else message
                for message in messages
            ]

    def effort(self, operation: str, capability: Capability) -> str | None:
        """The reasoning effort that holds, after a value that the model does not know was dropped or refused."""
        path = _EFFORTS.get(operation, "")
        parameter, _, inner = path.partition(".")
        value = self.body.get(parameter)
        if inner:
            value = value.get(inner) if isinstance(value, dict) else None
        if not isinstance(value, str):
            return capability.effort_default
        level = value.lower()  # Microsoft's pages write 'None'
        if not capability.efforts or level in capability.efforts or self._allowed(parameter, path, "reasoning_effort"):
            return level
        if not self.policy.drop:
            raise self._refusal(path, capability.efforts)
        self.body = without(self.body, path) or {}
        self.dropped.append(path)
        return capability.effort_default

    def check(self, parameter: str, rule: Rule) -> None:
        """Leave `parameter` as it is, take it out, or raise BadRequest. A null says nothing, to any model."""
        value = self.body[parameter]
        if self._allowed(parameter, parameter.removesuffix("[]")) or _in(value, rule.accepts):
            return
        if value is None or _in(value, rule.neutral):
            self.omitted.append(parameter)
        elif self.policy.drop:
            self.dropped.append(parameter)
        else:
            raise self._refusal(parameter, rule.accepts)
        del self.body[parameter]

    def values(self, taken: Values) -> None:
        """Raises BadRequest for a value that is not taken. It is never dropped: something else would be made, and
        billed, than what was asked for."""
        for path, kind in taken.items():
            parameter, _, inner = path.partition(".")
            value = self.body.get(parameter)
            if inner:
                value = value.get(inner) if isinstance(value, dict) else None
            if value is None or kind.has(value) or self._allowed(parameter, path):
                continue
            found = kind.found(value)
            text = found if isinstance(found, str) else orjson.dumps(found).decode()
            raise BadRequest(
                f"Invalid '{path}': found {quoted(text, FOUND_CHARS_MAX)}. Model `{self.model_name}` takes "
                f"{kind.words}. `allowed_openai_params: [{parameter}]` has it sent all the same.",
                param=path,
                code=kind.code,
            )

    def whole_answer(self) -> bool:
        """Whether a stream was asked for that has to be made of a whole answer; the body then asks for that."""
        if self.body.get("stream") is not True or "stream" in self.policy.allowed:
            return False
        del self.body["stream"]
        self.body.pop("stream_options", None)
        return True

    def _allowed(self, *names: str) -> bool:
        return not self.policy.allowed.isdisjoint(names)

    def _refusal(self, parameter: str, values: Sequence[Any]) -> BadRequest:
        bare = parameter.removesuffix("[]")
        taken = f" with this value, only {', '.join(f'`{_shown(v)}`' for v in values)}" if values else ""
        return BadRequest(
            f"Model `{self.model_name}` does not take `{bare}`{taken}. Leave it out, or set `drop_params: true` to "
            f"have it dropped, or `allowed_openai_params: [{bare}]` to have it sent all the same.",
            param=bare,
            code="unsupported_value" if values else "unsupported_parameter",
        )


def _role(message: Any) -> str:
    role = message.get("role") if isinstance(message, dict) else None
    return role if isinstance(role, str) else ""


def _same(one: Any, other: Any) -> bool:
    """Equality of JSON, where true is not 1."""
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)


def _in(value: Any, values: Sequence[Any]) -> bool:
    return any(_same(value, other) for other in values)


def _shown(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
