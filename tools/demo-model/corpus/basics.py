"""What a newcomer tries first and what has one right answer: sums, tables and capitals."""

from __future__ import annotations

from . import words
from .core import Chat, World, capital, plural, roughen, say

# country: capital | continent | one thing about the country or the city
CAPITALS = """
France: Paris | Europe | Paris is famous for the Eiffel Tower.
Germany: Berlin | Europe | Berlin is the largest city of the country.
Italy: Rome | Europe | Rome is more than two thousand years old.
Spain: Madrid | Europe | Madrid lies in the middle of the country.
Portugal: Lisbon | Europe | Lisbon lies on the coast of the Atlantic.
England: London | Europe | London lies on the river Thames.
the United Kingdom: London | Europe | London lies on the river Thames.
Scotland: Edinburgh | Europe | Edinburgh has an old castle on a rock.
Wales: Cardiff | Europe | Cardiff lies on the coast.
Ireland: Dublin | Europe | Ireland is a green island.
Austria: Vienna | Europe | Vienna is famous for its music.
Switzerland: Bern | Europe | The country is famous for its mountains.
Belgium: Brussels | Europe | The country is famous for its chocolate.
the Netherlands: Amsterdam | Europe | Amsterdam has many canals and bicycles.
Luxembourg: Luxembourg City | Europe | It is one of the smallest countries of Europe.
Denmark: Copenhagen | Europe | Copenhagen has a statue of a little mermaid.
Norway: Oslo | Europe | The country is famous for its fjords.
Sweden: Stockholm | Europe | Stockholm is built on many islands.
Finland: Helsinki | Europe | The country has thousands of lakes.
Iceland: Reykjavik | Europe | The country has many volcanoes and hot springs.
Poland: Warsaw | Europe | Warsaw lies on the river Vistula.
the Czech Republic: Prague | Europe | Prague has a famous old bridge.
Slovakia: Bratislava | Europe | Bratislava lies on the Danube.
Hungary: Budapest | Europe | The Danube flows through Budapest.
Slovenia: Ljubljana | Europe | The country has mountains and many forests.
Croatia: Zagreb | Europe | The country has more than a thousand islands.
Serbia: Belgrade | Europe | Belgrade lies on the Danube.
Romania: Bucharest | Europe | The country has wild forests with bears.
Bulgaria: Sofia | Europe | The country is famous for its roses.
Greece: Athens | Europe | Athens is famous for its old temples.
Turkey: Ankara | Asia and Europe | Its largest city is Istanbul.
Ukraine: Kyiv | Europe | The country has wide fields of wheat.
Russia: Moscow | Europe and Asia | It is the largest country in the world.
Estonia: Tallinn | Europe | Tallinn has a beautiful old town.
Latvia: Riga | Europe | Riga lies on the Baltic Sea.
Lithuania: Vilnius | Europe | Vilnius has many old churches.
Egypt: Cairo | Africa | The country is famous for its pyramids.
Morocco: Rabat | Africa | The country has mountains and a desert.
Tunisia: Tunis | Africa | Tunis lies near the Mediterranean Sea.
Algeria: Algiers | Africa | It is the largest country of Africa.
Nigeria: Abuja | Africa | Its largest city is Lagos.
Ghana: Accra | Africa | Accra lies on the coast.
Kenya: Nairobi | Africa | The country is famous for its lions and elephants.
Ethiopia: Addis Ababa | Africa | Coffee first came from this country.
Senegal: Dakar | Africa | Dakar lies on the coast of the Atlantic.
Japan: Tokyo | Asia | Tokyo is one of the largest cities in the world.
China: Beijing | Asia | The country is famous for its Great Wall.
India: New Delhi | Asia | The country has more people than any other.
South Korea: Seoul | Asia | Seoul is a very large and modern city.
Thailand: Bangkok | Asia | Bangkok has many golden temples.
Vietnam: Hanoi | Asia | Hanoi has many lakes.
Indonesia: Jakarta | Asia | The country is made of thousands of islands.
the Philippines: Manila | Asia | The country is made of many islands.
Malaysia: Kuala Lumpur | Asia | Kuala Lumpur has two very tall towers.
Nepal: Kathmandu | Asia | The highest mountains of the world are there.
Pakistan: Islamabad | Asia | Its largest city is Karachi.
Mongolia: Ulaanbaatar | Asia | The country has wide plains and many horses.
Iran: Tehran | Asia | Tehran lies at the foot of high mountains.
Iraq: Baghdad | Asia | Baghdad lies on the river Tigris.
Saudi Arabia: Riyadh | Asia | Most of the country is desert.
the United States: Washington | North America | The president lives there in the White House.
Canada: Ottawa | North America | It is the second largest country in the world.
Mexico: Mexico City | North America | It is one of the largest cities in the world.
Cuba: Havana | North America | Cuba is a large island in the Caribbean Sea.
Jamaica: Kingston | North America | Jamaica is an island in the Caribbean Sea.
Brazil: Brasilia | South America | It is the largest country of South America.
Argentina: Buenos Aires | South America | The country is famous for the tango.
Chile: Santiago | South America | The country is very long and narrow.
Peru: Lima | South America | The country is famous for the old city of Machu Picchu.
Colombia: Bogota | South America | The country is famous for its coffee.
Venezuela: Caracas | South America | The highest waterfall of the world is there.
Uruguay: Montevideo | South America | Montevideo lies on the coast.
Australia: Canberra | Australia | Many people think that it is Sydney, but it is not.
New Zealand: Wellington | Oceania | The country has two large islands.
"""

COUNTRIES = []
for _line in CAPITALS.strip().splitlines():
    _country, _rest = _line.split(": ", 1)
    COUNTRIES.append((_country, *_rest.split(" | ")))

CAPITAL_ASKS = (
    (
        "[What is|What's|Do you know|Tell me|Can you tell me|Name|And what is] the capital of"
        " {country}"
    ),
    "[What is|What's] the capital city of {country}",
    "[Which|What] city is the capital of {country}",
    "[What is|What's] {country}'s capital",
    "[Capital of|The capital of] {country}",
    "{Country}: what is the capital",
)

CAPITAL_ANSWERS = (
    "The capital of {country} is {city}. {more}",
    "The capital of {country} is {city}. {Country} is in {continent}.",
    "{City} is the capital of {country}. {more}",
    "It is {city}. {City} is the capital of {country}, and {country} is in {continent}.",
)


def _country_slots(world: World) -> dict:
    country, city, continent, more = world.rng.choice(COUNTRIES)
    return dict(country=country, city=city, continent=continent, more=more)


def _ends(ask: str) -> str:
    """The question with the mark that suits it."""
    statement = ask.startswith(
        ("Tell", "Name", "Capital", "The capital", "Calculate", "Add", "Sub")
    )
    return ask + ("." if statement else "?")


def capital_city(world: World) -> tuple[str, str]:
    """The capital of a country, or the country of a capital."""
    rng, slots = world.rng, _country_slots(world)
    if rng.random() < 0.8:
        ask = _ends(say(rng, rng.choice(CAPITAL_ASKS), **slots))
        return ask, say(rng, rng.choice(CAPITAL_ANSWERS), **slots)
    ask = "[Where is|In which country is|Which country is it that has the capital] {city}?"
    if rng.random() < 0.4:
        ask = "[Where is|On which continent is|Where can I find] {country}?"
        return say(rng, ask, **slots), say(
            rng, "{Country} is in {continent}. Its capital is {city}. {more}", **slots
        )
    return say(rng, ask, **slots), say(
        rng, "{City} is the capital of {country}, a country in {continent}. {more}", **slots
    )


def and_capitals(world: World) -> Chat:
    """Several capitals in a row, the later ones asked for in short."""
    rng = world.rng
    ask, answer = capital_city(world)
    chat = [("user", roughen(rng, ask)), ("assistant", answer)]
    for _ in range(rng.randint(1, 5)):
        slots = _country_slots(world)
        short = (
            "[And of {country}|And {country}|What about {country}|And the capital of {country}]?"
        )
        if "capital" in ask and rng.random() < 0.5:
            question = say(rng, short, **slots)
            reply = say(rng, rng.choice(CAPITAL_ANSWERS), **slots)
        else:
            question, reply = capital_city(world)
            ask = question
        chat += [("user", roughen(rng, question)), ("assistant", reply)]
    return chat


OPERATIONS = {
    "plus": ("plus", "+", "and", "added to"),
    "minus": ("minus", "-", "less", "take away"),
    "times": ("times", "*", "x", "multiplied by"),
}


def _numbers(world: World) -> tuple[int, int, str, int]:
    """Two numbers, the operation and the result: what fits into a few small tables."""
    rng = world.rng
    dice = rng.random()
    if dice < 0.25:
        a, b = rng.randint(0, 10), rng.randint(0, 10)
        return a, b, "plus", a + b
    if dice < 0.48:
        a, b = rng.randint(1, 20), rng.randint(1, 20)
        return a, b, "plus", a + b
    if dice < 0.52:
        a, b = rng.randint(1, 9) * 10, rng.randint(1, 9) * 10
        return a, b, "plus", a + b
    if dice < 0.60:
        a = rng.randint(0, 10)
        b = rng.randint(0, a)
        return a, b, "minus", a - b
    if dice < 0.72:
        a = rng.randint(5, 20)
        b = rng.randint(0, a)
        return a, b, "minus", a - b
    a, b = rng.randint(1, 10), rng.randint(1, 10)
    return a, b, "times", a * b


def too_hard(world: World) -> tuple[str, str]:
    """A calculation beyond the tables, which is politely declined."""
    rng = world.rng
    sign = rng.choice(("plus", "+", "minus", "-", "times", "*", "x", "divided by", "/"))
    low = 11 if sign in ("times", "*", "x") else 21
    a, b = rng.randint(low, 999), rng.randint(low, 999)
    if sign in ("plus", "+"):
        a, b = a - (a % 10 == 0), rng.choice((b, rng.randint(1, 20)))
    if rng.random() < 0.3:
        a, b = rng.randint(1000, 99999), rng.randint(2, 9999)
    if rng.random() < 0.3:
        a, b = rng.randint(21, 99), rng.randint(21, 99)
        a -= a % 10 == 0
    space = rng.choice((" ", " ", "")) if sign in "+-*x/" else " "
    term = f"{a}{space}{sign}{space}{b}"
    return (
        f"[What is|What's|How much is|Calculate|And] {term}?",
        (
            f"[{term} is too hard for me.|I am sorry, I cannot calculate {term}.|Oh, those are"
            " large numbers for a small model.] [I only know small sums and the tables up to ten"
            " times ten.|I can only calculate with small numbers, such as 7 plus 5.] [A calculator"
            " will tell you the right result.|Please use a calculator, so that you get the right"
            " result.]"
        ),
    )


def _check(world: World, a: int, b: int, operation: str, result: int) -> str:
    """A second sentence that says the same sum in another way."""
    rng = world.rng
    if operation == "plus":
        more = f"[{b} plus {a} is {result} too.|And {result} minus {b} is {a}.|]"
    elif operation == "minus":
        more = f"[You can check it: {result} plus {b} is {a}.|And {b} plus {result} is {a}.|]"
    else:
        more = f"[{b} times {a} is {result} too.|]"
    return say(rng, more)


def arithmetic(world: World) -> tuple[str, str]:
    """A sum in one of many phrasings, answered in a sentence."""
    rng = world.rng
    a, b, operation, result = _numbers(world)
    left, right = str(a), str(b)
    spelt = rng.random() < 0.12 and max(a, b) <= 20
    if spelt:
        left, right = words.NUMBERS[a], words.NUMBERS[b]
    sign = rng.choice(OPERATIONS[operation])
    space = "" if sign in "+-*x" and rng.random() < 0.25 and not spelt else " "
    term = f"{left}{space}{sign}{space}{right}"
    ask = (
        "[What is|What is|What's|How much is|Calculate|Can you calculate|What does|What do you get"
        f" for|And|Do you know what is|Tell me,] {term}"
    )
    if rng.random() < 0.15:
        ask = f"{term}{rng.choice((' =', '', ' is?'))}"
    ask = say(rng, ask)
    if ask.startswith("What does"):
        ask += " make"
    if ask[-1] not in "=?":
        ask = _ends(ask)
    answer = f"{a} {operation} {b} is {result}. " + _check(world, a, b, operation, result)
    return ask, answer.strip()


def small_question(world: World) -> tuple[str, str]:
    """Doubles, halves, the next number and other one-step questions about numbers."""
    rng = world.rng
    n = rng.randint(1, 20)
    kind = rng.randrange(6)
    if kind == 0:
        return f"What is [double {n}|twice {n}|the double of {n}]?", f"Twice {n} is {2 * n}."
    if kind == 1:
        return (
            f"What is half of {2 * n}?",
            f"Half of {2 * n} is {n}, because {n} plus {n} is {2 * n}.",
        )
    if kind == 2:
        n = rng.randint(1, 99)
        return f"[What comes after|Which number comes after] {n}?", f"After {n} comes {n + 1}."
    if kind == 3:
        n = rng.randint(2, 100)
        return f"[What comes before|Which number comes before] {n}?", f"Before {n} comes {n - 1}."
    if kind == 4:
        a, b = rng.sample(range(1, 100), 2)
        return (
            f"[Which number is bigger|Which is larger|What is more], {a} or {b}?",
            f"{max(a, b)} is bigger than {min(a, b)}.",
        )
    n, b = rng.randint(1, 10), rng.randint(2, 10)
    return (
        f"[What is|How much is|Calculate] {n * b} [divided by|/] {b}?",
        f"{n * b} divided by {b} is {n}, because {n} times {b} is {n * b}.",
    )


def story_sum(world: World) -> tuple[str, str]:
    """A sum about somebody's things."""
    rng = world.rng
    things = plural(rng.choice(words.THINGS))
    who, verb, subject = rng.choice((("I", "have", "you"), (world.name(), "has", "")))
    subject = subject or who
    a, b = rng.randint(2, 12), rng.randint(1, 10)
    if rng.random() < 0.6:
        gain = "[get|buy|find]" if who == "I" else "[gets|buys|finds]"
        ask = f"{who} {verb} {a} {things} and {gain} {b} more. How many {things} "
        ask += "do I have now?" if who == "I" else f"does {who} have now?"
        return (
            ask,
            f"{capital(subject)} {verb} {a + b} {things} now, because {a} plus {b} is {a + b}.",
        )
    a, b = max(a, b) + 1, min(a, b)
    loss = "[lose|sell|give away]" if who == "I" else "[loses|sells|gives away]"
    ask = f"{who} {verb} {a} {things} and {loss} {b}. How many {things} are left?"
    return (
        ask,
        f"{capital(subject)} {verb} {a - b} {things} left, because {a} minus {b} is {a - b}.",
    )


def sums(world: World) -> Chat:
    """One to twelve little calculations."""
    rng = world.rng
    chat: Chat = []
    for _ in range(rng.randint(1, 12)):
        maker = rng.choices((arithmetic, small_question, story_sum, too_hard), (20, 3, 1, 1))[0]
        ask, answer = maker(world)
        chat += [("user", roughen(rng, say(rng, ask))), ("assistant", say(rng, answer))]
    return chat
