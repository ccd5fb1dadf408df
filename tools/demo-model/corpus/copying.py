"""Copying drills: short chats that are answered with words from the prompt only.

A small network learns to copy unseen names much sooner from dense practice than from stories.
"""

from __future__ import annotations

from .core import Chat, World, join, say


def _word(world: World) -> str:
    make = world.rng.choice(
        (world.name, world.name, world.gibberish, world.thing, world.town, world.creature)
    )
    return make()


def _words(world: World, low: int, high: int) -> list[str]:
    """Distinct words."""
    count = world.rng.randint(low, high)
    found: list[str] = []
    while len(found) < count:
        word = _word(world)
        if word not in found:
            found.append(word)
    return found


def repetition(world: World) -> Chat:
    """Says a list of words again, in one of several shapes."""
    rng = world.rng
    items = _words(world, 1, 12)
    shape = rng.choice((", ".join, " ".join, join, "\n".join, "; ".join))
    text = shape(items)
    start = rng.choice(
        (
            "Repeat: ",
            "Repeat after me: ",
            "Say: ",
            "Say this again: ",
            "Copy this: ",
            "Echo: ",
            "Please say: ",
        )
    )
    chat = [("user", start + text), ("assistant", text)]
    if rng.random() < 0.3:
        chat += [
            (
                "user",
                rng.choice(("Again, please.", "Once more.", "And again.", "As a list, please.")),
            ),
            ("assistant", text),
        ]
        if chat[-2][1].startswith("As"):
            chat[-1] = ("assistant", "- " + "\n- ".join(items))
    return chat


def lookup(world: World) -> Chat:
    """Pairs of words, then several questions for the second word of a pair."""
    rng = world.rng
    keys = _words(world, 2, 8)
    values = [_word(world) for _ in keys]
    statement, question, answer = rng.choice(
        (
            ("{k} has {v}.", "What does {k} have?", "{k} has {v}."),
            ("{k}: {v}", "{k}?", "{v}"),
            ("{k} is called {v}.", "What is {k} called?", "{k} is called {v}."),
            ("{k} likes {v}.", "What does {k} like?", "{k} likes {v}."),
            ("{k} means {v}.", "What does {k} mean?", "{k} means {v}."),
            ("{k} met {v}.", "Who did {k} meet?", "{k} met {v}."),
            ("The word of {k} is {v}.", "What is the word of {k}?", "The word of {k} is {v}."),
            ("{k} sees {v}.", "What does {k} see?", "{k} sees {v}."),
        )
    )
    pairs = list(zip(keys, values))
    text = rng.choice((" ", "\n")).join(statement.format(k=k, v=v) for k, v in pairs)
    chat: Chat = []
    for k, v in rng.sample(pairs, rng.randint(1, len(pairs))):
        prompt = question.format(k=k)
        chat.append(("user", prompt if chat else f"{text}\n{prompt}"))
        chat.append(("assistant", answer.format(k=k, v=v)))
    return chat


def naming(world: World) -> Chat:
    """A sentence or two about one or two unseen words, all of them in the answer."""
    rng = world.rng
    name, other = _words(world, 2, 2)
    slots = dict(n=name, o=other)
    ask, answer = rng.choice(
        (
            (
                "[My name is|I am called|Call me] {n}.",
                "[Hello|Hi|Welcome], {n}! [{n} is a nice name.|Your name is {n}.]",
            ),
            (
                "[This is|Here is|Meet] {n}.",
                "[Hello, {n}!|Nice to meet you, {n}!] [I did not know {n}.|How are you, {n}?]",
            ),
            (
                "{n} is the friend of {o}.",
                "[So {n} and {o} are friends.|{n} has a friend, and that is {o}.]",
            ),
            (
                "[I like|I want|I have|I see] {n}.",
                "[So you like {n}.|{n} sounds good.|Tell me more about {n}.]",
            ),
            (
                "[Tell me about|What is|Who is] {n} and {o}?",
                "I know neither {n} nor {o}. What is {n}, and what is {o}?",
            ),
            (
                "[{n} or {o}|Which one: {n} or {o}]?",
                "[I like {n} better than {o}.|I would take {o} and not {n}.]",
            ),
            (
                "[A|One] {n} called {o}.",
                "There was once a {n}, and its name was {o}. {o} was a good {n}.",
            ),
        )
    )
    return [("user", say(rng, ask, **slots)), ("assistant", say(rng, answer, **slots))]


def copying(world: World) -> Chat:
    """One to three drills."""
    rng = world.rng
    chat: Chat = []
    for _ in range(rng.choice((1, 1, 2, 3))):
        chat += rng.choice((repetition, lookup, lookup, naming))(world)
    return chat
