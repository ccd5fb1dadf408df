"""Questions and worries of everyday life, each with an answer of several sentences.

They stand in `everyday.txt`: a line of questions ("?"), then a line with the answer ("!").
"""

from __future__ import annotations

import pathlib

from .core import Chat, World, roughen, say, vary


def _parse() -> list[tuple[list[str], str]]:
    """Pairs of (questions, answer template)."""
    path = pathlib.Path(__file__).with_name("everyday.txt")
    lines = path.read_text(encoding="utf-8").splitlines()
    return [(ask[2:].split(" | "), answer[2:]) for ask, answer in zip(lines[0::2], lines[1::2])]


KNOWN = _parse()

QUESTION_WORDS = set(
    "What What's Why How Who Whose Where When Which Is Are Am Can Could Do Does Will Should Would"
    .split()
)


def everyday(world: World) -> Chat:
    """One to three questions of everyday life."""
    rng = world.rng
    chat: Chat = []
    for questions, answer in rng.sample(KNOWN, rng.choice((1, 1, 2, 3))):
        ask = vary(rng, rng.choice(questions))
        if ask.split()[0] in QUESTION_WORDS:
            ask += "?"
        else:
            ask += rng.choice((".", ".", "!"))
        chat += [("user", roughen(rng, ask)), ("assistant", say(rng, answer))]
    return chat
