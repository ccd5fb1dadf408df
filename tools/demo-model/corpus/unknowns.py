"""Questions that a very small model cannot answer: it says so, and names what was asked for."""

from __future__ import annotations

from . import basics, dictionary, everyday, facts
from .core import Chat, World, plural, roughen, say

SORRY = "[I am sorry, but|I am afraid that|Sadly,]"
OTHER_COUNTRIES = """
Zambia Bolivia Paraguay Ecuador Panama Guatemala Haiti Angola Mozambique Namibia Botswana Uganda
Rwanda Sudan Chad Niger Mali Libya Jordan Lebanon Yemen Oman Qatar Uzbekistan Georgia Armenia
Bangladesh Bhutan Cambodia Laos Fiji Samoa Malta Cyprus Albania Moldova
""".split()

ADVICE = (
    "[A larger model in baton could tell you more.|You could look it up in a good book.|A library"
    " is a good place to find out.|Somebody who has studied it could tell you more.|Please look it"
    " up, because I do not want to invent anything.]"
)
OFFER = (
    "[But I can tell you a story about {x}, if you like.|Is there something simpler that I can help"
    " you with?|If you tell me something about {x}, I will gladly listen.|Why do you want to know?|"
    "What made you think of {x}?]"
)

UNKNOWN_ASKS = (
    (
        "[What is|What are|What do you know about|Tell me about|Explain|Can you explain|Do you"
        " know|Do you know anything about|Can you tell me about|Please explain|Describe|What can"
        " you tell me about] {topic}"
    ),
    "[Who invented|Who discovered|Who made] {topic}",
    (
        "[Why do people like|Where can I find|How can I learn about|What is so special about|What"
        " is interesting about|Who knows something about] {topic}"
    ),
    (
        "[Write an essay about|Give me a summary of|Write a report on|Teach me about|Help me with|I"
        " want to know about|I need to know more about|I want to learn about] {topic}"
    ),
    "What is the [history|best part|meaning|price|size] of {topic}",
)

UNKNOWN_ANSWERS = (
    (
        "[I am a small model and I do not know much about {topic}.|I am sorry, I do not know much"
        " about {topic}.|{Topic}: that is a difficult subject for such a small model.|That is a"
        " good question, but I do not know enough about {topic}.|I wish that I knew more about"
        " {topic}.] [A larger model in baton could tell you much more.|You could look for a good"
        " book about {topic} in a library.|Please ask a larger model, or look it up in a good"
        " book.] [But I can tell you a story about it, if you like.|What do you find interesting"
        " about {topic}?|If you tell me something about {topic}, I will gladly listen.|Is there"
        " something simpler that I can help you with?]"
    ),
)

SHOP = "[Perhaps a shop near you can help.|You could ask in a shop, or ask your neighbours.]"
MAP = "[A map can help you.|Please ask somebody nearby, or look at a map.]"

# (question, first sentence of the answer, what the question is about, sometimes whom to ask)
SHAPES = (
    (
        "[Who is|Who was] {person}",
        "[I do not know who {person} [is|was]|{person} is a name that I do not know].",
        "{person}",
    ),
    (
        "[When|Where] was {person} born",
        (
            "[I do not know when or where {person} was born|I know nothing about the birth of"
            " {person}]."
        ),
        "{person}",
    ),
    ("How old is {person}", "I do not know how old {person} is.", "{person}"),
    (
        "[What did {person} do|Why is {person} famous|What is {person} known for]",
        "I do not know what {person} did.",
        "{person}",
    ),
    ("Tell me about {person}", "I do not know anything about {person}.", "{person}"),
    ("[Where is|Where can I find] {place}", "I do not know where {place} is.", "{place}", MAP),
    (
        "[How many people live in|What is the population of] {place}",
        "I do not know how many people live in {place}.",
        "{place}",
    ),
    (
        (
            "[Tell me about|What do you know about|What can you tell me about|What is special"
            " about] {place}"
        ),
        "I do not know much about {place}.",
        "{place}",
    ),
    ("What is the capital of {country}", "I do not know the capital of {country}.", "{country}"),
    (
        "[How does a {thing} work|Can you explain how a {thing} works|How do {things} work]",
        "I do not know exactly how a {thing} works.",
        "the {thing}",
    ),
    (
        "[What is|What's|What exactly is|Do you know what is] a {thing}",
        "[I am not sure what a {thing} is|I cannot say exactly what a {thing} is].",
        "the {thing}",
    ),
    (
        "[Who invented|Who made|Who built] the [first |]{thing}",
        "I do not know who invented the {thing}.",
        "the {thing}",
    ),
    (
        "[How much does|What does] a {thing} cost",
        "I do not know what a {thing} costs.",
        "the {thing}",
        SHOP,
    ),
    (
        "[Where can I buy|Where can I get|Where do I find] a {thing}",
        "I do not know where you can get a {thing}.",
        "the {thing}",
        SHOP,
    ),
    (
        "[How is a {thing} made|How do they make {things}|What is a {thing} made of]",
        "I do not know exactly how a {thing} is made.",
        "the {thing}",
    ),
    (
        "Why are {things} so [useful|expensive|heavy|loud|famous|old|popular|rare|cheap|small]",
        "That is a good question, but I do not know much about {things}.",
        "{things}",
    ),
    (
        (
            "[What does {word} mean|What is the meaning of {word}|What is {word}|Define {word}|What"
            " is a {word}]"
        ),
        '[I do not know the word "{word}"|I have never heard the word "{word}"].',
        "{word}",
    ),
    (
        (
            "[Explain|Can you explain|Teach me|What do you know about|Tell me about|Tell me"
            " something about|I want to learn about|Describe|Do you know anything about] {topic}"
        ),
        (
            "[I know very little about {topic}|{Topic}: that is a big subject for such a small"
            " model|I do not know enough about {topic} to explain it well]."
        ),
        "{topic}",
    ),
    (
        (
            "[What makes {topic} important|Why do people like {topic}|What is so interesting about"
            " {topic}|What is the point of {topic}]"
        ),
        "That is a good question, but I know very little about {topic}.",
        "{topic}",
    ),
    (
        "[What is the history of|Who invented|When was the beginning of] {topic}",
        "I do not know the history of {topic}.",
        "{topic}",
    ),
    (
        "What is the difference between {topic} and {topic2}",
        "I cannot explain the difference between {topic} and {topic2}.",
        "{topic}",
    ),
    (
        "[What is better|Which is better|What do you prefer], {topic} or {topic2}",
        "I know too little about {topic} and {topic2} to choose.",
        "{topic2}",
    ),
)


_KNOWN = " ".join(
    [questions for questions, _ in facts.KNOWLEDGE]
    + [" ".join(questions) for questions, _ in everyday.KNOWN]
    + [dictionary.THINGS, dictionary.ANIMALS, basics.CAPITALS]
).lower()


def _is_known(subject: str) -> bool:
    """True if there is a better answer than "I do not know"."""
    return subject.lower().rstrip("s") in _KNOWN


def _topic(world: World) -> str:
    while _is_known(topic := world.topic()):
        pass
    return topic


def _thing(world: World) -> str:
    while _is_known(thing := world.thing()):
        pass
    return thing


def _person(world: World) -> str:
    if world.rng.random() < 0.5:
        return world.name()
    return f"{world.name()} {world.name()}"


def unknown_things(world: World) -> Chat:
    """One or two such questions."""
    rng = world.rng
    chat: Chat = []
    for _ in range(rng.choice((1, 1, 2))):
        thing, word = _thing(world), world.invented()
        slots = dict(
            person=_person(world),
            place=world.invented().capitalize(),
            country=rng.choice((world.invented().capitalize(), rng.choice(OTHER_COUNTRIES))),
            thing=thing,
            things=plural(thing),
            word=word,
            topic=_topic(world),
            topic2=_topic(world),
        )
        ask, first, about, *advice = rng.choice(SHAPES)
        question = say(rng, ask, **slots)
        first = f"{SORRY} {first}" if first.startswith("I ") and rng.random() < 0.5 else first
        offer = OFFER.replace("{x}", about)
        answer = say(rng, f"{first} {(advice or [ADVICE])[0]} {offer}", **slots)
        statement = question.startswith(("Tell", "Explain", "Teach", "I ", "Describe", "Define"))
        question += "." if statement else "?"
        chat += [("user", roughen(rng, question)), ("assistant", answer)]
    return chat


def unknown(world: World) -> Chat:
    """A question beyond a small model: an honest answer that still names the subject."""
    rng = world.rng
    topic = _topic(world)
    ask = say(rng, rng.choice(UNKNOWN_ASKS), topic=topic)
    ask += (
        "?"
        if ask.split()[0] in ("What", "Can", "Do", "How", "Who", "Why", "Where", "When")
        else "."
    )
    return [("user", roughen(rng, ask)), ("assistant", say(rng, UNKNOWN_ANSWERS[0], topic=topic))]
