"""The ledger against the bill, attempt by attempt. The bill is priced here with list prices written down by hand.

What must agree, without exception:

- every line of the bill is one entry, and one alone; it is settled or unknown, never failed and never open;
- an entry that was settled by what the upstream told has a line, with the same tokens and the same cost to the
  picodollar;
- an entry that was settled by estimate (its client left and the answer outlasted the drain, or it broke) has a line;
- an entry that failed has none.

What cannot agree exactly is told: an estimate beside what its line says, and an unknown entry, which may have a line or
none: it was sent, and nobody said what became of it.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from shared.spend.entry import Entry

_PER_MILLION = 10**6
_USD = 10**12
Line = Mapping[str, Any]
TOKENS: dict[str, dict[str, float]] = {
    "gpt-4o": {"input": 2.5, "cached": 1.25, "output": 10},
    "gpt-4o-mini": {"input": 0.15, "cached": 0.075, "output": 0.6},
    "gpt-4.1": {"input": 2, "cached": 0.5, "output": 8},
    "o4-mini": {"input": 1.1, "cached": 0.275, "output": 4.4},
    "gpt-4o-audio-preview": {"input": 2.5, "cached": 2.5, "output": 10, "audio_in": 40, "audio_out": 80},
    "gpt-35-turbo-instruct": {"input": 1.65, "cached": 1.65, "output": 2.2},
    "text-embedding-3-small": {"input": 0.022, "cached": 0.022, "output": 0},
    "gpt-image-1": {"input": 5, "cached": 1.25, "image_in": 10, "output": 40, "image_out": 40},
    "gpt-4o-mini-tts": {"input": 0.6, "cached": 0.6, "output": 10, "audio_out": 12},
    "gpt-4o-transcribe": {"input": 2.5, "cached": 2.5, "audio_in": 6, "output": 10},
}
"""USD per million tokens (Azure's price page and OpenAI's, November 2026)."""
CHARACTERS = {"tts": 15}
SECONDS = {"whisper": 0.36 / 3600}
IMAGES = {"standard/1024x1024": 0.044, "standard/1792x1024": 0.088, "hd/1024x1024": 0.088, "hd/1792x1024": 0.132}


def cost_of(line: Line) -> int:
    """What a line of the bill comes to, in picodollars."""
    model = str(line["model"])
    if model in CHARACTERS:
        return int(line["characters"]) * round(CHARACTERS[model] * _PER_MILLION)
    if model in SECONDS:
        return int(math.ceil(line["seconds"]) * round(SECONDS[model] * _USD))
    if model == "dall-e-3":
        return int(line["images"]) * round(IMAGES[f"{line['quality']}/{line['image_size']}"] * _USD)
    each = {name: round(usd * _PER_MILLION) for name, usd in TOKENS[model].items()}
    cached, heard, seen = line["cached_tokens"], line["input_audio_tokens"], line["input_image_tokens"]
    spoken, painted = line["output_audio_tokens"], line["output_image_tokens"]
    text_in = line["prompt_tokens"] - cached - heard - seen
    text_out = line["completion_tokens"] - spoken - painted
    total: int = (
        text_in * each["input"]
        + cached * each["cached"]
        + heard * each.get("audio_in", each["input"])
        + seen * each.get("image_in", each["input"])
        + text_out * each["output"]
        + spoken * each.get("audio_out", each["output"])
        + painted * each.get("image_out", each["output"])
    )
    return total


@dataclass(slots=True)
class Audit:
    """What comparing found. `wrong` says in words what must not be; everything else is told as figures. `unrecorded`
    has the attempts that were billed and not entered where that may be, by the reason."""

    lines: int = 0
    entries: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    exact: int = 0
    exact_cost: int = 0
    estimated: int = 0
    estimated_cost: int = 0
    estimated_billed: int = 0
    unknown_billed: int = 0
    unrecorded: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def told(self) -> str:
        """The figures as lines of text."""
        unknown = self.statuses["unknown"]
        return "\n".join(
            (
                f"  {self.lines} billed attempts, {self.entries} entries: {dict(sorted(self.statuses.items()))}",
                f"  {self.exact} agree in tokens and cost to the picodollar: {self.exact_cost / _USD:.6f} USD",
                f"  {self.estimated} were estimated: {self.estimated_cost / _USD:.6f} USD in the ledger, "
                f"{self.estimated_billed / _USD:.6f} USD in the bill",
                f"  {unknown} are unknown, {self.unknown_billed} of them billed",
                *(f"  {count} were billed and not entered: {why}" for why, count in sorted(self.unrecorded.items())),
                f"  {len(self.wrong)} disagreements",
                *(f"    {one}" for one in self.wrong[:20]),
            )
        )


def compared(bill: Sequence[Line], listed: Sequence[Entry], *, may_lack: Mapping[str, str] | None = None) -> Audit:
    """Holds the books against each other. `may_lack`: calls that the ledger may have lost, and why."""
    audit = Audit(lines=len(bill), entries=len(listed))
    audit.statuses.update(entry.status for entry in listed)
    twice = [entry_id for entry_id, count in Counter(entry.entry_id for entry in listed).items() if count > 1]
    audit.wrong += [f"{one}: listed more than once" for one in twice]
    entries = {entry.entry_id: entry for entry in listed}
    billed: defaultdict[str, list[Line]] = defaultdict(list)
    for line in bill:
        billed[str(line["client_request_id"])].append(line)
    for entry_id, lines in billed.items():
        entry = entries.get(entry_id)
        if len(lines) > 1:
            audit.wrong.append(f"{entry_id}: sent more than once")
        elif entry is None and may_lack is not None and (why := may_lack.get(entry_id.rpartition(".")[0])):
            audit.unrecorded[why] += 1
        elif entry is None:
            audit.wrong.append(f"{entry_id}: billed ({_about(lines[0])}) and not entered")
        else:
            _compare(audit, entry, lines[0])
    for entry_id, entry in entries.items():
        if entry.is_open:
            audit.wrong.append(f"{entry_id}: still open ({entry.operation})")
        elif entry_id not in billed and entry.status in ("settled", "unpriced"):
            audit.wrong.append(f"{entry_id}: {entry.status} ({entry.operation} {entry.code}) and not billed")
    return audit


def _compare(audit: Audit, entry: Entry, line: Line) -> None:
    cost = cost_of(line)
    if entry.status == "unknown":
        audit.unknown_billed += 1
    elif entry.status != "settled":
        audit.wrong.append(f"{entry.entry_id}: billed ({_about(line)}) and {entry.status} ({entry.code})")
    elif entry.usage.get("source") == "estimated":
        audit.estimated += 1
        audit.estimated_cost += entry.cost or 0
        audit.estimated_billed += cost
    elif entry.cost != cost or _tokens(entry) != (line["prompt_tokens"], line["completion_tokens"]):
        audit.wrong.append(
            f"{entry.entry_id}: {entry.operation} has {entry.cost} for {dict(entry.usage)}, "
            f"the bill {cost} ({_about(line)})"
        )
    else:
        audit.exact += 1
        audit.exact_cost += cost


def _tokens(entry: Entry) -> tuple[int, int]:
    return entry.usage.get("prompt", 0), entry.usage.get("completion", 0)


def _about(line: Line) -> str:
    told = ("model", "status", "stream", "prompt_tokens", "cached_tokens", "completion_tokens", "finished")
    return " ".join(f"{name}={line[name]}" for name in (*told, "seconds", "characters", "images") if line[name])
