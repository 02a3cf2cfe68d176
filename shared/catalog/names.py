"""Names of models: an exact one, a dated or fine-tuned one, or whole words inside a deployment's name.

A name is taken apart at `-`, `.`, `_` and `/`. `my-o3-deployment` has the word `o3`; `demo1-gpt4o` has no `o1`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence

_WORD = re.compile(r"[^-._/]+")


class NameTable:
    """Known names and the rows they stand for; case does not matter.

    `rewrites` are (pattern, replacement) pairs, tried in this order until a name is known: they take away what says
    nothing of the model (provider, zone, date, fine-tuning). `spellings` are other ways to write the beginning of a
    name inside a deployment's name, `gpt-4o` as `gpt4o`. `not_inferred` are met as a whole only.
    """

    def __init__(
        self,
        names: Mapping[str, str],
        rewrites: Sequence[Sequence[str]],
        spellings: Mapping[str, Sequence[str]],
        not_inferred: Collection[str] = (),
    ) -> None:
        self._names = {name.lower(): row for name, row in names.items()}
        self._rewrites = [(re.compile(pattern), replacement) for pattern, replacement in rewrites]
        self._words: dict[tuple[str, ...], str] = {}
        for name in self._names.keys() - set(not_inferred):
            for words in _spelled(_words(name), spellings):
                self._words[words] = name
        self._words_max = max(map(len, self._words), default=0)

    def exact(self, text: str) -> tuple[str, str] | None:
        """(known name, row) for a name as configured, None when it is not known."""
        name = text.strip().lower()
        if name in self._names:
            return name, self._names[name]
        for pattern, replacement in self._rewrites:
            name = pattern.sub(replacement, name)
            if name in self._names:
                return name, self._names[name]
        return None

    def inferred(self, deployment: str) -> tuple[str, str] | None:
        """(known name, row) that whole words of `deployment` spell, the longest where several begin alike.

        None when there is none, or when words of two different rows are met: a guess between them would be wrong.
        """
        text = deployment.lower()
        spans = [match.span() for match in _WORD.finditer(text)]
        met: dict[str, str] = {}
        start = 0
        while start < len(spans):
            name, length = self._longest(text, spans[start : start + self._words_max + 1])
            if name is not None:
                met.setdefault(self._names[name], name)
            start += max(length, 1)
        if len(met) != 1:
            return None
        ((row, name),) = met.items()
        return name, row

    def _longest(self, text: str, spans: Sequence[tuple[int, int]]) -> tuple[str | None, int]:
        words = [text[start:end] for start, end in spans]
        for length in range(min(len(words), self._words_max), 0, -1):
            name = self._words.get(tuple(words[:length]))
            if name is not None:
                version_goes_on = (
                    length < len(words)
                    and text[spans[length - 1][1] : spans[length][0]] == "."
                    and words[length].isdigit()
                )
                return (None, length + 1) if version_goes_on else (name, length)  # gpt-5.9 is not gpt-5
        return None, 1


def _words(name: str) -> tuple[str, ...]:
    return tuple(_WORD.findall(name))


def _spelled(words: tuple[str, ...], spellings: Mapping[str, Sequence[str]]) -> list[tuple[str, ...]]:
    """`words` as they are, and once more for every other way to write their beginning."""
    ways = [words]
    for beginning, others in spellings.items():
        known = _words(beginning)
        if words[: len(known)] == known:
            ways += [_words(other) + words[len(known) :] for other in others]
    return ways
