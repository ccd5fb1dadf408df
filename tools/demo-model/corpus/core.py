"""The template language and the name space shared by all conversation generators.

A template is plain text with choices and slots:

    say(rng, "[Hello|Hi], {name}! [|How are you?]", name="Ada")

Choices nest. Slots are filled after the choices are made; `{Name}` is `{name}` with a capital.
Articles ("a"/"an") and sentence capitals are repaired at the end, so templates need not care.
"""

from __future__ import annotations

import random
import re
import zlib

from . import words

Message = tuple[str, str]
Chat = list[Message]

_CHOICE = re.compile(r"\[([^\[\]]*)\]")
_SLOT = re.compile(r"\{(\w+)\}")
_ARTICLE = re.compile(r"\b([Aa])n? (?=([A-Za-z]+))")
_SENTENCE = re.compile(r'(^"?|[.!?] "?|\n"?)([a-z])')
_CONSONANT_SOUND = ("uni", "use", "usu", "eu", "one", "uku")
_VOWEL_SOUND = ("hour", "honest", "heir", "honour")


def expand(rng: random.Random, template: str) -> str:
    """Replaces every [a|b|c] with one of its alternatives, innermost first."""
    count = 1
    while count:
        template, count = _CHOICE.subn(lambda m: rng.choice(m.group(1).split("|")), template)
    if "[" in template or "]" in template:
        raise ValueError(f"unbalanced brackets: {template}")
    return template


def capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _article(match: re.Match) -> str:
    word = match.group(2).lower()
    vowel = word[0] in "aeiou" and not word.startswith(_CONSONANT_SOUND)
    vowel = vowel or word.startswith(_VOWEL_SOUND)
    return match.group(1) + ("n " if vowel else " ")


def tidy(text: str) -> str:
    """Repairs articles, double spaces and the capitals at the start of sentences."""
    text = re.sub(r" +", " ", text).strip()
    text = re.sub(r" ([,.!?;:])", r"\1", text)
    text = re.sub(r"\n ", "\n", text)
    text = _ARTICLE.sub(_article, text)
    return _SENTENCE.sub(lambda m: m.group(1) + m.group(2).upper(), text)


def say(rng: random.Random, template: str, **slots: object) -> str:
    """Expands a template into finished text."""

    def fill(match: re.Match) -> str:
        key = match.group(1)
        if key in slots:
            return str(slots[key])
        return capital(str(slots[key[0].lower() + key[1:]]))

    return tidy(_SLOT.sub(fill, expand(rng, template)))


def join(items: list[str]) -> str:
    """Joins words into "a, b and c"."""
    if len(items) < 2:
        return "".join(items)
    return ", ".join(items[:-1]) + " and " + items[-1]


_PLURALS = {
    "mouse": "mice",
    "goose": "geese",
    "sheep": "sheep",
    "deer": "deer",
    "fish": "fish",
    "child": "children",
    "loaf": "loaves",
    "leaf": "leaves",
    "scarf": "scarves",
    "wolf": "wolves",
    "salmon": "salmon",
    "knife": "knives",
    "shelf": "shelves",
    "man": "men",
    "woman": "women",
    "thief": "thieves",
    "tooth": "teeth",
    "foot": "feet",
    "half": "halves",
    "person": "people",
    "elf": "elves",
    "dwarf": "dwarves",
    "postman": "postmen",
    "fisherman": "fishermen",
    "snowman": "snowmen",
    "ox": "oxen",
    "potato": "potatoes",
    "tomato": "tomatoes",
    "life": "lives",
    "jellyfish": "jellyfish",
    "starfish": "starfish",
    "shrimp": "shrimp",
    "reindeer": "reindeer",
    "bison": "bison",
    "volcano": "volcanoes",
    "mango": "mangoes",
    "bookshelf": "bookshelves",
}


def plural(noun: str) -> str:
    """The plural of a noun, with or without an adjective before it."""
    head, _, last = noun.rpartition(" ")
    if last in _PLURALS:
        last = _PLURALS[last]
    elif last.endswith(("s", "x", "z", "ch", "sh")):
        last += "es"
    elif last.endswith("y") and last[-2:-1] not in "aeiou":
        last = last[:-1] + "ies"
    else:
        last += "s"
    return f"{head} {last}".strip()


def held_out(word: str) -> bool:
    """True for the twentieth of all names and invented nouns that training never sees."""
    return zlib.crc32(word.lower().encode()) % 20 == 0


_ONSETS = (
    "b bl br c ch cl cr d dr f fl fr g gl gr h j k kl kr l m n p pl pr q r s sh sk sl sm sn sp st "
    "str t th tr v w y z zh vr x"
).split()
_VOWELS = "a e i o u a e i o u ai ea ee ia io oo ou au".split()
_CODAS = (
    " , ,b,ck,d,f,g,k,l,ll,m,n,n,nd,ng,nk,nt,p,r,r,rd,rk,rn,rt,s,ss,st,t,th,v,x,z,sh,zz"
).split(",")
_ENDINGS = (
    "a o i y en in or ar us is ix ak ik on el an ra la na ina ella ette bert ton ley wick dor lin "
    "mira tan zo by kin dle ax um ie"
).split()


def _syllable(rng: random.Random) -> str:
    return rng.choice(_ONSETS) + rng.choice(_VOWELS) + rng.choice(_CODAS).strip()


def _invented(rng: random.Random) -> str:
    shape = rng.random()
    if shape < 0.2:
        word = _syllable(rng)
    elif shape < 0.75:
        word = _syllable(rng) + rng.choice(_ENDINGS)
    else:
        word = rng.choice(_ONSETS) + rng.choice(_VOWELS) + _syllable(rng) + rng.choice(_ENDINGS)
    if rng.random() < 0.12:
        word = rng.choice("aeiou") + word
    return word.replace("qu", "q").replace("q", "qu").replace("uu", "u")


def _patchwork(rng: random.Random) -> str:
    """A word glued together from pieces of real words: "Marmbrella", "Teapotkin"."""

    def piece() -> str:
        word = rng.choice(rng.choice(_PIECE_SOURCES)).lower()
        size = rng.randint(2, 6)
        start = rng.randint(0, max(0, len(word) - size))
        return word[start : start + size]

    while True:
        word = "".join(piece() for _ in range(rng.choice((2, 2, 2, 3))))
        if not _UNSPEAKABLE.search(word):
            return word


_UNSPEAKABLE = re.compile(r"[^aeiouy]{4}|[aeiou]{4}|(.)\1\1|^[^aeiouy]{3}|[^aeiouy]{3}$|[^s]s$")


_PIECE_SOURCES = (
    words.SHE_NAMES,
    words.HE_NAMES,
    words.TOWNS,
    words.ANIMALS,
    words.THINGS,
    words.THINGS,
)


def pronoun_of(name: str) -> str:
    """The pronoun of a name that is on no list, by its last letter, so that it never varies."""
    return "she" if name[-1] in "aeiy" else "he"


class World:
    """Draws names, things and places; in training mode it never draws a held-out word."""

    def __init__(self, rng: random.Random, training: bool = True):
        self.rng = rng
        self.training = training

    def _allowed(self, word: str) -> bool:
        return held_out(word) != self.training

    def _draw(self, make) -> str:
        while True:
            word = make()
            if 3 <= len(word) <= 14 and self._allowed(word):
                return word

    def invented(self) -> str:
        """A word that exists nowhere else."""
        return self._draw(lambda: self.rng.choice((_invented, _patchwork))(self.rng))

    def pick(self, pool: list[str]) -> str:
        return self._draw_any(lambda: self.rng.choice(pool))

    def _draw_any(self, make) -> str:
        for _ in range(200):
            word = make()
            if self._allowed(word):
                return word
        return word

    def person(self) -> tuple[str, str]:
        """A name and the pronoun that goes with it."""
        dice = self.rng.random()
        if dice < 0.28:
            return self.pick(words.SHE_NAMES), "she"
        if dice < 0.56:
            return self.pick(words.HE_NAMES), "he"
        name = self.pick(words.PET_NAMES) if dice < 0.62 else capital(self.invented())
        return name, pronoun_of(name)

    def name(self) -> str:
        return self.person()[0]

    def names(self, count: int) -> list[str]:
        """Distinct names."""
        found: list[str] = []
        while len(found) < count:
            name = self.name()
            if name not in found:
                found.append(name)
        return found

    def creature(self) -> str:
        """The kind of a story's hero: mostly an animal, a being or a person with a job."""
        dice = self.rng.random()
        if dice < 0.1:
            return self.invented()
        kind = self.pick(words.ANIMALS + words.BEINGS + words.JOBS)
        if dice < 0.17:
            return self.pick(words.THINGS) + " " + self.rng.choice(words.TRADES)
        if dice < 0.35:
            kind = self.rng.choice(words.CREATURE_ADJECTIVES) + " " + kind
        return kind

    def thing(self) -> str:
        """An object: a plain noun, one with an adjective, a compound, or an invented noun."""
        dice = self.rng.random()
        if dice < 0.1:
            return self.invented()
        noun = self.pick(words.THINGS)
        if dice < 0.35:
            return self.rng.choice(words.THING_ADJECTIVES) + " " + noun
        if dice < 0.42:
            return self.rng.choice(words.MATERIALS) + " " + noun
        return noun

    def gibberish(self) -> str:
        """Something that is no word."""
        if self.rng.random() < 0.4:
            return "".join(self.rng.choices("abcdefghijklmnopqrstuvwxyz", k=self.rng.randint(3, 8)))
        return self.invented()

    def place(self) -> str:
        """A place with its preposition left to the template: "the old mill"."""
        dice = self.rng.random()
        place = self.pick(words.PLACES)
        if dice < 0.3:
            return "the " + self.rng.choice(words.PLACE_ADJECTIVES) + " " + place
        return "the " + place

    def town(self) -> str:
        if self.rng.random() < 0.5:
            return self.pick(words.TOWNS)
        return capital(self.invented())

    def topic(self) -> str:
        """Something a user might ask about, known or not."""
        dice = self.rng.random()
        if dice < 0.45:
            return self.rng.choice(words.TOPICS)
        if dice < 0.65:
            return plural(self.rng.choice(words.THINGS))
        if dice < 0.8:
            return self.invented()
        if dice < 0.9:
            return self.rng.choice(words.TOPIC_ADJECTIVES) + " " + self.rng.choice(words.TOPICS)
        return self.name()


PRONOUNS = {
    "she": {"he": "she", "him": "her", "his": "her", "himself": "herself"},
    "he": {"he": "he", "him": "him", "his": "his", "himself": "himself"},
    "it": {"he": "it", "him": "it", "his": "its", "himself": "itself"},
}


VARIANTS = (
    (
        "What is ",
        (
            "What's {}|Can you explain what {} is|Do you know what {} is|Tell me what {} is|Explain"
            " to me what {} is|I want to know what {} is"
        ).split("|"),
    ),
    (
        "What are ",
        (
            "Can you explain what {} are|Do you know what {} are|Tell me what {} are|I want to know"
            " what {} are"
        ).split("|"),
    ),
    (
        "How do I ",
        (
            "How can I {}|How do you {}|Can you tell me how to {}|What is the best way to {}|Please"
            " explain how to {}|How to {}|I want to know how to {}"
        ).split("|"),
    ),
)


def vary(rng: random.Random, ask: str) -> str:
    """Another way to ask the same, half of the time."""
    for start, others in VARIANTS:
        if ask.startswith(start) and rng.random() < 0.5:
            return rng.choice(others).format(ask[len(start) :])
    return ask


def roughen(rng: random.Random, prompt: str) -> str:
    """Makes a prompt look typed by hand: prefixes, courtesy, lower case, lost punctuation."""
    dice = rng.random()
    if dice < 0.08:
        start = prompt if prompt.startswith("I ") else prompt[:1].lower() + prompt[1:]
        prompt = rng.choice(("Hi baton, ", "Hello! ", "Hey, ", "Hi! ", "Baton, ", "OK, ")) + start
    elif dice < 0.14 and prompt.endswith("?"):
        prompt = (
            rng.choice(("Tell me: ", "A question: ", "I wonder: ", "Quick question. ")) + prompt
        )
    dice = rng.random()
    if dice < 0.15:
        prompt = prompt.lower()
    elif dice < 0.20:
        prompt = prompt[:1].lower() + prompt[1:]
    if rng.random() < 0.12 and prompt[-1] in ".!?":
        prompt = prompt[:-1]
    return prompt
