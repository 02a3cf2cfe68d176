"""How many tokens a call will take at a deployment, learned from what earlier ones took.

The prompt's estimate is corrected by the observed ratio; an answer without a maximum is taken for the 90th percentile
of the last ones. Pure.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.usage.usage import Usage

if TYPE_CHECKING:
    from shared.upstream.deployment import Deployment

OUTPUT_DEFAULT = 256
"""An answer without a maximum, before any has been seen."""
OUTPUTS_KEPT = 100
OUTPUTS_BETWEEN = 10
"""So many answers come between two looks at the percentile."""
RATIO_WEIGHT = 0.1
RATIO_MIN, RATIO_MAX = 0.2, 5.0


@dataclass(frozen=True, slots=True)
class Demand:
    """What one call asks for, before it is sent: estimated prompt tokens, and the most that it may answer.

    `output_max` None: no maximum was asked for. `output` False: the operation answers with no tokens at all. `differs`
    tells what it asks for at one deployment, where models count the same call differently.
    """

    prompt: int
    output_max: int | None = None
    output: bool = True
    differs: Callable[[Deployment], Demand] | None = None

    def at(self, deployment: Deployment) -> Demand:
        """What it asks for there."""
        return self if self.differs is None else self.differs(deployment)


NOTHING = Demand(0, 0, output=False)


class Estimates:
    """What one deployment taught so far."""

    __slots__ = ("_outputs", "_since", "output", "ratio")

    def __init__(self) -> None:
        self.ratio = 1.0
        self.output = OUTPUT_DEFAULT
        self._outputs: deque[int] = deque(maxlen=OUTPUTS_KEPT)
        self._since = 0

    def tokens(self, demand: Demand) -> int:
        """Tokens that the call will probably take; at least its maximum answer, where it has one."""
        prompt = int(demand.prompt * self.ratio)
        if not demand.output:
            return prompt
        return prompt + (self.output if demand.output_max is None else demand.output_max)

    def learn(self, demand: Demand, usage: Usage) -> None:
        """A call's own figures, as the upstream told them."""
        if demand.prompt > 0 and usage.prompt > 0:
            ratio = min(max(usage.prompt / demand.prompt, RATIO_MIN), RATIO_MAX)
            self.ratio += RATIO_WEIGHT * (ratio - self.ratio)
        if demand.output:
            self._outputs.append(usage.completion)
            self._since += 1
            if self._since >= OUTPUTS_BETWEEN:
                self._since = 0
                ordered = sorted(self._outputs)
                self.output = max(1, ordered[len(ordered) * 9 // 10])
