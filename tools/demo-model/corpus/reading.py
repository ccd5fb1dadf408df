"""Reading tasks: generated notes about people and things, then questions answered by copying."""

from __future__ import annotations

from . import words
from .core import Chat, World, capital, roughen, say

INSTRUCTIONS = (
    "Read the following notes and answer the question at the end.",
    "Here are some notes.",
    "Please read this text.",
    "Read this and answer my question.",
    "Here is a text about some people.",
    "I will give you some notes, then I will ask you something.",
    "Notes:",
    "",
)


def _person_facts(world: World, name: str, he: str, others: list[str]) -> list[tuple]:
    """All facts about one person: (statement, [(question, answer), ...])."""
    rng = world.rng
    his = "her" if he == "she" else "his"
    colour, pet, job = (
        rng.choice(words.COLOURS),
        rng.choice(words.PETS),
        world.pick(words.JOBS[:-6]),
    )
    town, food, drink = world.town(), rng.choice(words.FOODS), rng.choice(words.DRINKS)
    day, month = rng.choice(words.DAYS), rng.choice(words.MONTHS)
    age, number = rng.randint(7, 90), rng.randint(2, 99)
    thing, place, met = world.thing(), world.place(), rng.choice(others)
    pet_name, instrument = world.name(), rng.choice(words.INSTRUMENTS)
    slots = dict(
        n=name,
        he=he,
        his=his,
        colour=colour,
        pet=pet,
        job=job,
        town=town,
        food=food,
        drink=drink,
        day=day,
        month=month,
        age=age,
        number=number,
        thing=thing,
        place=place,
        met=met,
        petname=pet_name,
        instrument=instrument,
        town2=world.town(),
        place2=world.place(),
        gift=world.thing(),
        hidden=world.thing(),
        bought=world.thing(),
        price=rng.randint(2, 99),
        vehicle=rng.choice(("train", "bus", "bicycle", "boat", "car", "ship")),
    )
    raw = (
        (
            "{n} lives in a {colour} house.|The house of {n} is {colour}.",
            (
                (
                    "What colour is the house of {n}|Which colour does the house of {n} have",
                    "The house of {n} is {colour}",
                ),
                (
                    "Who lives in the {colour} house|Who has a {colour} house",
                    "{n} lives in the {colour} house",
                ),
            ),
        ),
        (
            "{n} has a {pet} called {petname}.|{n} owns a {pet} named {petname}.",
            (
                (
                    "What pet does {n} have|Which animal does {n} own",
                    "{n} has a {pet}|{n} has a {pet} called {petname}",
                ),
                (
                    "What is the name of the {pet} of {n}|What is the {pet} of {n} called",
                    "The {pet} of {n} is called {petname}",
                ),
                ("Who owns {petname}|Who is {petname}", "{petname} is the {pet} of {n}"),
            ),
        ),
        (
            "{n} works as a {job}.|{n} is a {job}.",
            (
                (
                    (
                        "What is the job of {n}|What does {n} do|What is {n}'s job|What work does"
                        " {n} do"
                    ),
                    "{n} is a {job}|{n} works as a {job}",
                ),
                ("Who is the {job}|Who works as a {job}", "{n} is the {job}|{n} works as a {job}"),
            ),
        ),
        (
            "{n} comes from {town}.|{n} was born in {town}.",
            (
                ("Where does {n} come from|Where is {n} from", "{n} comes from {town}"),
                ("Who comes from {town}|Who is from {town}", "{n} comes from {town}"),
            ),
        ),
        (
            "{n} likes to eat {food}.|The favourite food of {n} is {food}.",
            (
                (
                    "What does {n} like to eat|What is the favourite food of {n}",
                    "{n} likes to eat {food}",
                ),
                ("Who likes {food}", "{n} likes {food}"),
            ),
        ),
        (
            "{n} drinks {drink} every morning.|{n} always drinks {drink}.",
            (
                ("What does {n} drink", "{n} drinks {drink}"),
                ("Who drinks {drink}", "{n} drinks {drink}"),
            ),
        ),
        (
            "{n} plays the {instrument}.",
            (
                ("Which instrument does {n} play|What does {n} play", "{n} plays the {instrument}"),
                ("Who plays the {instrument}", "{n} plays the {instrument}"),
            ),
        ),
        (
            "On {day}, {n} met {met} near {place}.|{n} met {met} near {place} on {day}.",
            (
                (
                    "Who did {n} meet|Whom did {n} meet on {day}",
                    "{n} met {met}|On {day}, {n} met {met}",
                ),
                (
                    "Where did {n} meet {met}|Where did {n} and {met} meet",
                    "{n} met {met} near {place}|They met near {place}",
                ),
                (
                    "When did {n} meet {met}|On which day did {n} meet {met}",
                    "{n} met {met} on {day}",
                ),
            ),
        ),
        (
            "{n} is {age} years old.",
            (
                ("How old is {n}|What is the age of {n}", "{n} is {age} years old"),
                ("Who is {age} years old", "{n} is {age} years old"),
            ),
        ),
        (
            (
                "{n} keeps a {thing} in {his} bag.|{n} carries a {thing}.|{n} bought a {thing} last"
                " {month}."
            ),
            (
                (
                    "What does {n} have|Which thing belongs to {n}|What belongs to {n}",
                    "{n} has a {thing}",
                ),
                (
                    "Who has the {thing}|Who owns the {thing}|Who has a {thing}",
                    "{n} has the {thing}",
                ),
            ),
        ),
        (
            "{n} was born in {month}.|The birthday of {n} is in {month}.",
            (
                (
                    "When is the birthday of {n}|In which month was {n} born",
                    "The birthday of {n} is in {month}",
                ),
            ),
        ),
        (
            "{n} has {number} books.|There are {number} books on the shelf of {n}.",
            (("How many books does {n} have|How many books has {n}", "{n} has {number} books"),),
        ),
        (
            'The secret word of {n} is "{petname}".|The code word of {n} is "{petname}".',
            (("What is the [secret|code] word of {n}", 'The word of {n} is "{petname}"'),),
        ),
        (
            (
                "The best friend of {n} is {met}.|{n} is a good friend of {met}.|{n} often plays"
                " chess with {met}."
            ),
            (("Who is the friend of {n}|Who is a friend of {n}", "{met} is a friend of {n}"),),
        ),
        (
            "{n} went to {town2} by {vehicle}.|Last week, {n} travelled to {town2} by {vehicle}.",
            (
                ("Where did {n} go|Where did {n} travel", "{n} went to {town2}"),
                (
                    "How did {n} travel|How did {n} get to {town2}",
                    "{n} went to {town2} by {vehicle}",
                ),
                ("Who went to {town2}|Who travelled to {town2}", "{n} went to {town2}"),
            ),
        ),
        (
            "{n} gave {met} a {gift}.|{n} gave a {gift} to {met}.",
            (
                ("What did {n} give to {met}|What did {met} get", "{n} gave {met} a {gift}"),
                (
                    "Who gave the {gift} to {met}|From whom did {met} get the {gift}",
                    "{n} gave the {gift} to {met}",
                ),
            ),
        ),
        (
            "{n} hid a {hidden} near {place2}.|{n} left a {hidden} near {place2}.",
            (
                (
                    "Where is the {hidden}|Where did {n} put the {hidden}",
                    "The {hidden} is near {place2}",
                ),
                ("Who [hid|left] the {hidden}", "It was {n}"),
            ),
        ),
        (
            "{n} paid {price} coins for a {bought}.|{n} bought a {bought} for {price} coins.",
            (
                (
                    "How much did {n} pay for the {bought}|What did the {bought} cost",
                    "{n} paid {price} coins for the {bought}",
                ),
                ("What did {n} buy", "{n} bought a {bought}"),
            ),
        ),
    )
    chosen = rng.sample(raw, rng.randint(1, 5))
    facts = []
    for statement, questions in chosen:
        text = say(rng, f"[{statement}]", **slots)
        asked = [(say(rng, f"[{q}]?", **slots), say(rng, f"[{a}].", **slots)) for q, a in questions]
        facts.append((text, asked))
    if rng.random() < 0.15:
        question = rng.choice([fact for fact in raw if fact not in chosen])[1][0][0]
        if "met" not in question and "{bought}" not in question and "{hidden}" not in question:
            unknown = say(
                rng,
                "[The text does not say that about {n}.|I do not know, because the text does not"
                " say that about {n}.]",
                **slots,
            )
            facts[-1][1].append((say(rng, f"[{question}]?", **slots), unknown))
    return facts


def _paragraph(world: World, name: str, facts: list[tuple], he: str) -> str:
    """Joins the statements about one person; later ones may use the pronoun."""
    rng = world.rng
    sentences = [text for text, _ in facts]
    joined = [sentences[0]]
    for sentence in sentences[1:]:
        if rng.random() < 0.4 and sentence.startswith(name + " "):
            sentence = capital(he) + sentence[len(name) :]
        joined.append(sentence)
    return " ".join(joined)


def notes(world: World) -> Chat:
    """Notes of one to twelve paragraphs, with one or several questions about them."""
    rng = world.rng
    count = rng.choices((1, 2, 3, 4, 5, 6, 8, 10, 12), (14, 20, 16, 10, 5, 3, 2, 1, 1))[0]
    people, names = [], []
    while len(people) < count:
        name, he = world.person()
        if name not in names:
            names.append(name)
            people.append((name, he))
    paragraphs, questions = [], []
    for name, he in people:
        others = [n for n in names if n != name] or [world.name()]
        facts = _person_facts(world, name, he, others)
        paragraphs.append(_paragraph(world, name, facts, he))
        questions += [pair for _, asked in facts for pair in asked]
    text = rng.choice(("\n\n", "\n", " ")).join(paragraphs)
    unique = [q for q in questions if q[0].startswith("Who") is False or _single(q, questions)]
    rng.shuffle(unique)
    turns = unique[: rng.choice((2, 3, 4, 5) if count < 4 else (4, 5, 6, 7, 8))]
    question, answer = turns[0]
    if rng.random() < 0.2:
        prompt = f"{question}\n\n{text}"
    else:
        lead = rng.choice(("", "", "Question: ", "My question: ", "Now tell me: "))
        intro = rng.choice(INSTRUCTIONS)
        prompt = "\n\n".join(part for part in (intro, text, lead + question) if part)
    chat = [("user", prompt), ("assistant", answer)]
    for question, answer in turns[1:]:
        chat += [("user", roughen(rng, question)), ("assistant", answer)]
    return chat


def _single(question: tuple[str, str], questions: list[tuple[str, str]]) -> bool:
    """True when a "Who ...?" question has only one answer in these notes."""
    return len({a for q, a in questions if q == question[0]}) == 1
