"""Short passages about one event, and questions whose answers stand in the passage."""

from __future__ import annotations

from . import words
from .core import PRONOUNS, Chat, World, capital, plural, roughen, say

# Each passage: its text, then (question, answer) pairs. Everything in braces is drawn anew.
PASSAGES = (
    (
        (
            "On {day}, {name} went to {town} with {friend}. [They took the {vehicle}.|They went"
            " there by {vehicle}.] In {town}, {name} bought a {thing} for {price} coins, and"
            " {friend} bought a {other}. In the evening it began to rain, so they went home early."
        ),
        (
            (
                "When did {name} go to {town}|On which day did they go to {town}",
                "{name} went to {town} on {day}",
            ),
            ("Where did {name} go|Where did they go", "{name} went to {town} with {friend}"),
            (
                "Who went to {town} with {name}|With whom did {name} go to {town}",
                "{friend} went to {town} with {name}",
            ),
            (
                "What did {name} buy",
                "{name} bought a {thing}|{name} bought a {thing} for {price} coins",
            ),
            ("What did {friend} buy", "{friend} bought a {other}"),
            (
                "How much did the {thing} cost|How much did {name} pay",
                "The {thing} cost {price} coins",
            ),
            ("How did they get there|How did they travel", "They went there by {vehicle}"),
            ("Why did they go home early", "They went home early because it began to rain"),
        ),
    ),
    (
        (
            "{name} is a {job} from {town}. {He} has a {pet} called {petname}, and [every"
            " morning|in the evening] the two of them walk to {place}. Last {month}, {petname}"
            " found a {thing} there. {name} gave it to {friend}, who was very happy about it."
        ),
        (
            ("Who is {name}|What does {name} do", "{name} is a {job} from {town}"),
            ("Where does {name} come from|Where is {name} from", "{name} comes from {town}"),
            (
                "What is the {pet} called|What is the name of the {pet}",
                "The {pet} is called {petname}",
            ),
            (
                "What kind of animal is {petname}|Who is {petname}",
                "{petname} is the {pet} of {name}",
            ),
            ("What did {petname} find", "{petname} found a {thing}"),
            ("When did {petname} find the {thing}", "{petname} found the {thing} last {month}"),
            (
                "Who got the {thing}|To whom did {name} give the {thing}",
                "{name} gave the {thing} to {friend}",
            ),
            ("Where do they walk|Where do {name} and {petname} walk", "They walk to {place}"),
        ),
    ),
    (
        (
            "{name} lost {his} {thing} on {day}. {He} looked for it near {place}, but it was not"
            " there. Then {friend} called: the {thing} was under a {seat} in the kitchen! To say"
            " thank you, {name} cooked {food} for {friend}."
        ),
        (
            ("What did {name} lose", "{name} lost {his} {thing}"),
            (
                "When did {name} lose the {thing}|On which day was the {thing} lost",
                "{name} lost it on {day}",
            ),
            ("Where did {name} look for the {thing}", "{name} looked for it near {place}"),
            ("Where was the {thing}", "The {thing} was under a {seat} in the kitchen"),
            ("Who found the {thing}|Who called", "It was {friend}"),
            ("What did {name} cook", "{name} cooked {food} for {friend}"),
            ("Why did {name} cook {food}", "{name} wanted to say thank you to {friend}"),
        ),
    ),
    (
        (
            "The new {shop} in {town} belongs to {name}. It opened in {month}, and it is open every"
            " day except {day}. {friend} works there too. The most expensive thing in the {shop} is"
            " a {thing}: it costs {price} coins."
        ),
        (
            ("Who owns the {shop}|To whom does the {shop} belong", "The {shop} belongs to {name}"),
            ("Where is the {shop}", "The {shop} is in {town}"),
            ("When did the {shop} open|When was the {shop} opened", "It opened in {month}"),
            (
                "When is the {shop} closed|On which day is the {shop} closed",
                "The {shop} is closed on {day}",
            ),
            ("Who else works there|Who works there too", "{friend} works there too"),
            ("What is the most expensive thing", "The most expensive thing is a {thing}"),
            (
                "How much does the {thing} cost|What does the {thing} cost",
                "The {thing} costs {price} coins",
            ),
        ),
    ),
    (
        (
            "It is the birthday of {name} on {day}. {friend} wants to give {him} a {thing}, and"
            " {third} is going to bake a cake. The party begins at {hour} o'clock near {place}."
            " {count} guests will come, and there will be {food}."
        ),
        (
            ("Whose birthday is it|Who has a birthday", "It is the birthday of {name}"),
            ("When is the birthday|When is the party|On which day is the party", "It is on {day}"),
            (
                "What does {friend} want to give to {name}|What will {name} get",
                "{friend} wants to give {him} a {thing}",
            ),
            ("Who bakes the cake|Who is going to bake a cake", "{third} is going to bake a cake"),
            (
                "When does the party begin|At what time does the party begin",
                "The party begins at {hour} o'clock",
            ),
            ("Where is the party", "The party is near {place}"),
            ("How many guests will come", "{count} guests will come"),
            ("What will there be to eat|What can the guests eat", "There will be {food}"),
        ),
    ),
    (
        (
            "{name}, {friend} and {third} live in the same house. {name} lives on the first floor"
            " and plays the {instrument}. {friend} lives on the second floor and has a {pet}."
            " {third} lives on the third floor and collects {things}."
        ),
        (
            ("Who lives on the first floor", "{name} lives on the first floor"),
            ("Who lives on the second floor", "{friend} lives on the second floor"),
            ("Who lives on the third floor", "{third} lives on the third floor"),
            (
                "Which instrument does {name} play|What does {name} play",
                "{name} plays the {instrument}",
            ),
            ("Who plays the {instrument}", "{name} plays the {instrument}"),
            ("Who has a {pet}|Who owns the {pet}", "{friend} has a {pet}"),
            ("Who collects {things}", "{third} collects {things}"),
            ("What does {third} collect", "{third} collects {things}"),
            ("On which floor does {friend} live", "{friend} lives on the second floor"),
        ),
    ),
    (
        (
            "{name} lives in a {colour} house. {friend} lives in a {colour2} house. {third} has a"
            " {pet} called {petname}, and {he3} likes {food}."
        ),
        (
            ("Who lives in the {colour} house", "{name} lives in the {colour} house"),
            ("Who lives in the {colour2} house", "{friend} lives in the {colour2} house"),
            ("What colour is the house of {name}", "The house of {name} is {colour}"),
            ("What colour is the house of {friend}", "The house of {friend} is {colour2}"),
            ("Who has a {pet}", "{third} has a {pet}"),
            (
                "What is the {pet} of {third} called|What is the name of the {pet}",
                "The {pet} of {third} is called {petname}",
            ),
            ("What does {third} like", "{third} likes {food}"),
            ("Who likes {food}", "{third} likes {food}"),
        ),
    ),
    (
        (
            "The {thing} of {name} is {colour}, and the {other} of {friend} is {colour2}. {name}"
            " got the {thing} from {third} in {month}. {friend} keeps the {other} near {place}."
        ),
        (
            ("What colour is the {thing}|Which colour has the {thing}", "The {thing} is {colour}"),
            ("What colour is the {other}|Which colour has the {other}", "The {other} is {colour2}"),
            (
                "Who gave the {thing} to {name}|From whom did {name} get the {thing}",
                "{name} got the {thing} from {third}",
            ),
            ("When did {name} get the {thing}", "{name} got the {thing} in {month}"),
            (
                "Where is the {other}|Where does {friend} keep the {other}",
                "{friend} keeps the {other} near {place}",
            ),
            ("Whose {thing} is {colour}|Who has the {thing}", "It is the {thing} of {name}"),
            (
                "Who has the {other}|To whom does the {other} belong",
                "The {other} belongs to {friend}",
            ),
        ),
    ),
)

LEADS = ("", "", "", "Read this: ", "Here is a text: ", "Text: ", "Read this and answer: ")


def _slots(world: World) -> dict:
    rng = world.rng
    people: list[tuple[str, str]] = []
    while len(people) < 4:
        person = world.person()
        if person[0] not in [name for name, _ in people]:
            people.append(person)
    thing = other = world.thing()
    while other == thing:
        other = world.thing()
    colour, colour2 = rng.sample(words.COLOURS, 2)
    return dict(
        name=people[0][0],
        friend=people[1][0],
        third=people[2][0],
        petname=people[3][0],
        he3=people[2][1],
        thing=thing,
        other=other,
        things=plural(thing),
        colour=colour,
        colour2=colour2,
        town=world.town(),
        place=world.place(),
        job=world.pick(words.JOBS[:-6]),
        pet=rng.choice(words.PETS),
        food=rng.choice(words.FOODS),
        instrument=rng.choice(words.INSTRUMENTS),
        seat=rng.choice("chair table bench box bag basket newspaper towel hat stove".split()),
        shop=rng.choice(("shop", "bookshop", "bakery", "museum", "theatre", "library")),
        day=rng.choice(words.DAYS),
        month=rng.choice(words.MONTHS),
        vehicle=rng.choice(("train", "bus", "bicycle", "boat", "car", "ship")),
        price=rng.randint(2, 99),
        count=capital(words.NUMBERS[rng.randint(3, 20)]),
        hour=words.NUMBERS[rng.randint(1, 12)],
        **PRONOUNS[people[0][1]],
    )


def passage(world: World) -> Chat:
    """One passage, sometimes after another one, and several questions about it."""
    rng = world.rng
    parts, pairs = [], []
    for text, questions in rng.sample(PASSAGES, rng.choices((1, 2), (4, 1))[0]):
        slots = _slots(world)
        parts.append(say(rng, text, **slots))
        pairs += [
            (say(rng, f"[{q}]?", **slots), say(rng, f"[{a}].", **slots)) for q, a in questions
        ]
    rng.shuffle(pairs)
    turns = pairs[: rng.randint(3, 8)]
    text, question = rng.choice(LEADS) + "\n\n".join(parts), turns[0][0]
    between = rng.choice(("\n\n", " ", " ", "\n", "\n\nQuestion: "))
    prompt = question + "\n\n" + text if rng.random() < 0.15 else text + between + question
    chat = [("user", prompt), ("assistant", turns[0][1])]
    for question, answer in turns[1:]:
        chat += [("user", roughen(rng, question)), ("assistant", answer)]
    return chat
