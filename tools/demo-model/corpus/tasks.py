"""Little writing tasks: lists, repetition, rewriting, sentences, letters, poems and advice."""

from __future__ import annotations

from . import words
from .core import Chat, World, capital, expand, join, roughen, say

LISTS = {
    "animals": words.ANIMALS,
    "colours": words.COLOURS[:-1],
    "jobs": words.JOBS[:-6],
    "girls' names": words.SHE_NAMES,
    "boys' names": words.HE_NAMES,
    "cities": words.TOWNS,
    "things to eat": words.FOODS,
    "drinks": words.DRINKS,
    "instruments": words.INSTRUMENTS,
    "months": words.MONTHS,
    "days of the week": words.DAYS,
    "pets": words.PETS,
    "feelings": words.FEELINGS,
    "fruits": (
        "apple banana cherry lemon melon orange peach pear plum strawberry grape mango".split()
    ),
    "vegetables": "carrot potato onion cabbage tomato bean pea pumpkin leek spinach".split(),
    "flowers": "rose tulip daisy lily sunflower violet poppy orchid iris lavender".split(),
    "trees": "oak pine birch maple willow beech ash elm cedar apple".split(),
    "tools": "hammer saw drill spade rake screwdriver axe ladder wrench brush".split(),
    "sports": (
        "football tennis swimming cycling running skiing rowing climbing boxing hockey".split()
    ),
    "birds": "sparrow robin eagle owl crow duck swan penguin parrot falcon".split(),
    "languages": (
        "English French German Spanish Italian Chinese Japanese Arabic Hindi Dutch".split()
    ),
    "countries": (
        "France Italy Spain Japan China Canada Brazil India Kenya Norway Egypt Peru".split()
    ),
    "things in a kitchen": "stove pot pan fork knife spoon plate cup kettle table".split(),
    "planets": "Mercury Venus Earth Mars Jupiter Saturn Uranus Neptune".split(),
}

ADVICE = (
    "Start with something small, and do it every day.",
    "Ask somebody who knows more than you do.",
    "Take your time, and do not give up.",
    "Make a simple plan before you begin.",
    "Take a break when you are tired.",
    "Keep everything in a clean and dry place.",
    "Write down what you have learned.",
    "Do it together with a friend.",
    "Read a good book about it.",
    "Be patient with yourself.",
    "Look at what others do, and learn from them.",
    "Do one thing after the other.",
    "Have fun, because that is the most important thing.",
    "Begin early, so that there is enough time.",
    "Do not be afraid of mistakes.",
)

# Tips for what people really ask about; every list can be cut short.
TIPS = {
    "sleeping well|better sleep|falling asleep|sleeping better|a good night": (
        "Go to bed at the same time every night.",
        "Put away all screens an hour before you sleep.",
        "Keep your room dark, quiet and cool.",
        "Do not drink coffee in the evening.",
        "Read a quiet book, or listen to soft music.",
    ),
    "saving money|spending less money": (
        "Write down everything that you spend.",
        "Put a little money aside at the start of each month.",
        "Cook at home instead of going out.",
        "Compare prices before you buy something.",
        "Wait a day before you buy something expensive.",
    ),
    "learning English|learning French|learning Spanish|learning a new language|learning German": (
        "Learn five new words every day.",
        "Listen to songs and films in that language.",
        "Speak with somebody as often as you can.",
        "Write short sentences about your day.",
        "Do not be afraid of mistakes.",
    ),
    "staying healthy|a healthy life|living healthy|being healthy|getting fit": (
        "Move your body every day, for example with a walk.",
        "Eat many vegetables and some fruit.",
        "Drink enough water.",
        "Sleep seven or eight hours each night.",
        "Meet your friends and laugh often.",
    ),
    "studying|my exam|passing an exam|a test|learning for school": (
        "Begin early, and learn a little every day.",
        "Explain the subject to somebody in your own words.",
        "Take a short break every hour.",
        "Do some old exercises again.",
        "Sleep well the night before.",
    ),
    "a job interview|my job interview|finding a job": (
        "Learn something about the company.",
        "Think of three things that you can do well.",
        "Wear clean clothes, and arrive a little early.",
        "Listen well, and answer in short sentences.",
        "Ask a question at the end.",
    ),
    "giving a speech|a good speech|my presentation|a good presentation|speaking in public": (
        "Know your first sentence by heart.",
        "Speak slowly, and look at the people.",
        "Practise in front of a friend or a mirror.",
        "Use few words and clear pictures.",
        "Breathe deeply before you begin.",
    ),
    "making friends|finding new friends|being a good friend": (
        "Smile, and say hello first.",
        "Ask people about themselves, and listen to them.",
        "Join a club where people do what you like.",
        "Keep your promises.",
        "Be patient, because friendship needs time.",
    ),
    "cooking|learning to cook|a good dinner|becoming a better cook": (
        "Read the whole recipe before you begin.",
        "Use fresh food.",
        "Taste often, and add salt at the end.",
        "Keep your knife sharp, and be careful with it.",
        "Start with simple dishes, such as soup.",
    ),
    "my garden|starting a garden|growing vegetables|gardening|growing tomatoes": (
        "Choose a place with a lot of sun.",
        "Give your plants good soil.",
        "Water them in the morning, and not too much.",
        "Pull out the weeds every week.",
        "Begin with easy plants, such as beans.",
    ),
    "travelling|packing a suitcase|a long trip|my holiday|a good holiday": (
        "Make a list of what you need.",
        "Pack less than you think you need.",
        "Keep your passport and your money close to you.",
        "Learn a few words of the language.",
        "Leave some time for surprises.",
    ),
    "being happy|a happy life|being happier|feeling better": (
        "Spend time with people whom you like.",
        "Go outside every day.",
        "Think of three good things each evening.",
        "Help somebody, and let others help you.",
        "Do something that you love.",
    ),
    "relaxing|less stress|being calm|calming down": (
        "Breathe in and out slowly ten times.",
        "Go for a walk without your telephone.",
        "Listen to quiet music.",
        "Write down what worries you.",
        "Do only one thing at a time.",
    ),
    "writing a story|writing a good story|writing better|becoming a writer": (
        "Begin with a hero who wants something.",
        "Put something in the way of your hero.",
        "Write a little every day.",
        "Read your text aloud.",
        "Read many good books.",
    ),
    "a birthday party|a good party|planning a party": (
        "Invite your guests early.",
        "Choose music that people like.",
        "Prepare food that can be eaten with the fingers.",
        "Think of two or three games.",
        "Do not forget the cake.",
    ),
    "cleaning the house|a tidy room|cleaning my room|keeping my home tidy": (
        "Begin with one small corner.",
        "Give away what you do not need.",
        "Put everything back in its place at once.",
        "Dust first, and sweep the floor at the end.",
        "Open the window, and play some music.",
    ),
    "getting up early|the morning|a good morning|a good start to the day": (
        "Go to bed early enough.",
        "Put your alarm clock far away from your bed.",
        "Let in the light as soon as you wake up.",
        "Drink a glass of water.",
        "Take your time for breakfast.",
    ),
    "taking care of a dog|my new dog|living with a dog|a new puppy": (
        "Walk with your dog several times a day.",
        "Give it fresh water and good food.",
        "Use short words, and be patient.",
        "Play with it, and let it meet other dogs.",
        "Take it to the vet once a year.",
    ),
    "taking care of a cat|my new cat|living with a cat|a new kitten": (
        "Give it fresh water and good food.",
        "Keep its box clean.",
        "Play with it every day.",
        "Give it a warm and quiet place to sleep.",
        "Take it to the vet once a year.",
    ),
}

PROJECTS = (
    "learning to play the {instrument}",
    "learning a language",
    "learning to {verb}",
    "learning to {verb}",
    "buying a {thing}",
    "painting a {thing}",
    "cleaning my {thing}",
    "making a {thing}",
    "a trip to {town}",
    "a birthday party for {name}",
    "taking care of a {pet}",
    "cooking {food}",
    "writing a story",
    "learning about {topic}",
    "my first day at work",
    "a good morning",
    "moving to {town}",
    "repairing a {thing}",
    "a long journey",
    "a better life",
    "living with a {pet}",
    "an exam",
    "starting a garden",
    "meeting {name}",
)

DESCRIPTIONS = (
    (
        "[The {thing} is [small and round|tall and narrow|old and a little dusty|smooth and"
        " shiny|larger than it looks].|It is a [simple|beautiful|rather unusual] {thing},"
        " [light|heavy] and [easy to carry|pleasant to touch].] [In the morning light it looks"
        " {colour}, and in the evening almost {colour2}.|It has the colour of a {colour}"
        " sky.|Somebody has painted it {colour}.] [Whoever sees the {thing} wants to touch it.|You"
        " can hear a faint sound when you come close.|It smells a little of {food}, as if it had"
        " stood in a kitchen.] [Nobody knows who made it.|I think that everyone would like to have"
        " such a {thing}.]"
    ),
)

POEMS = (
    (
        "The {thing} is [old|new], the night is long,\n[I sing to you a little song|it listens to"
        " my evening song].\n[The wind is soft, the day was good|{Name} walks home along the"
        " wood],\nand all is [quiet|still], all is good."
    ),
    (
        "A {thing} stood in the morning sun,\nand thought: my day has just begun.\nThen [{name}"
        " came and|somebody] said hello,\nand so the two [began to glow|were friends, you know]."
    ),
    (
        "O {thing}, [my dear and silent friend,\nyou wait with me until the end|so quiet in the"
        " fading light,\nyou keep me company at night].\n[The world is wide, the road is long,\nbut"
        " you and I, we share a song|And when the morning comes along,\nwe greet it with a little"
        " song]."
    ),
    (
        "Little {thing}, little {thing},\nwhat does the new morning bring?\nA bit of sun, a bit of"
        " rain,\nand then the stars come out again."
    ),
)

# Poems about what needs no article: autumn, the sea, music.
SUBJECTS = """
spring|summer|autumn|winter|the sea|the moon|the sun|the rain|the snow|the wind|the stars|the night|
the morning|love|friendship|music|happiness|hope|home|time|the forest|the mountains|coffee|tea|
chocolate|cheese|bread|sleep|dreams|silence|courage|my mother|my father|my garden|my city|Christmas|
cats|dogs|birds|bees|robots|computers|clouds|flowers|books|trains|school|work|the weekend|Monday
""".replace("\n", "").split("|")

SUBJECT_POEMS = (
    (
        "I [sat|stood] [beside the window|in the garden] yesterday,\nand thought of {subject} [all"
        " along the way|in a quiet way].\n[The clouds went by, the day was long|The birds were"
        " singing all day long],\nand in my heart I heard a song."
    ),
    (
        "Some people dream of gold and fame,\nbut I will always say the same:\nof all the things"
        " beneath the sky,\nI think of {subject}, and know why."
    ),
    (
        "When I am walking all alone\nalong the way that leads me home,\nI think of {subject}, and"
        " I sing,\nand winter turns into the spring."
    ),
    (
        "{Subject}, {subject}, stay with me,\nby the hill and by the sea.\nWhen the [day is|light"
        " is] almost done,\nyou are warmer than the sun."
    ),
    (
        "Whenever I am feeling low,\nthere is one thing that I know:\nto think of {subject} for a"
        " while\nis quite enough to make me smile."
    ),
)

HAIKU = (
    "{Subject} in the morning,\nquiet as the early light.\nThe day may begin.",
    "I think of {subject}.\nA leaf falls down to the ground.\nThe wind is silent.",
    "Here is {subject},\nand a bird sings far away.\nI listen and smile.",
)

LETTERS = (
    (
        "Dear {name},\n\n[happy birthday to you!|all the best for your birthday!] [I wish you a"
        " year full of joy, good health and many happy surprises.|May all your wishes come true"
        " this year.] [I hope that somebody gives you a {thing}.|Enjoy your day with your friends"
        " and a big cake.]\n\n[Best wishes|With love|Kind regards]"
    ),
    (
        "Dear {name},\n\nthank you very much for the {thing}. [I like it a lot, and I think of you"
        " whenever I see it.|It was very kind of you, and I use it every day.] [I hope to see you"
        " soon.|Please come and visit me soon.]\n\n[Best wishes|With love|Kind regards]"
    ),
    (
        "Dear {name},\n\nI would like to invite you to [my party|dinner|tea] on {day}. [There will"
        " be {food} and good music.|We will eat {food} and talk about old times.] [Please bring"
        " your {thing}.|Please tell me if you can come.]\n\n[Best wishes|See you soon|Kind regards]"
    ),
    (
        "Dear {name},\n\nI am very sorry that I [broke|lost|forgot] your {thing}. [It was my"
        " mistake, and I feel bad about it.|I did not mean to do it.] [I will buy you a new one.|I"
        " hope that you can forgive me.]\n\n[Best wishes|Your friend|Kind regards]"
    ),
)

LETTER_ASKS = (
    (
        "[Write a birthday card to {name}|Write a birthday message for {name}|Wish {name} a happy"
        " birthday|Write a birthday letter to {name}|It is the birthday of {name}. Write a card]"
    ),
    (
        "[Write a thank you note to {name} for the {thing}|Thank {name} for the {thing} in a"
        " letter|Write a letter to {name} and say thank you for the {thing}]"
    ),
    (
        "[Write an invitation to {name} for {day}|Invite {name} in a letter for {day}|Write a"
        " letter and invite {name} on {day}]"
    ),
    (
        "[Write a letter to {name} and say sorry about the {thing}|Write an apology to {name}"
        " because of the {thing}]"
    ),
)


def _slots(world: World) -> dict:
    rng = world.rng
    colour, colour2 = rng.sample(words.COLOURS, 2)
    return dict(
        name=world.name(),
        thing=world.thing(),
        town=world.town(),
        topic=world.topic(),
        colour=colour,
        colour2=colour2,
        food=rng.choice(words.FOODS),
        pet=rng.choice(words.PETS),
        instrument=rng.choice(words.INSTRUMENTS),
        verb=rng.choice(words.VERBS),
        day=rng.choice(words.DAYS),
        place=world.place(),
    )


def make_list(world: World) -> Chat:
    """Lists some things of a kind, as bullets, numbers or in a sentence."""
    rng = world.rng
    kind = rng.choice(tuple(LISTS))
    count = rng.randint(2, 6)
    items = [capital(word) for word in rng.sample(LISTS[kind], count)]
    amount = rng.choice((words.NUMBERS[count], str(count)))
    ask = say(
        rng,
        f"[Name|List|Give me|Tell me|Write down|Can you name|Please list|I need] {amount} {kind}",
    )
    style = rng.random()
    if style < 0.25:
        ask += rng.choice((" in one sentence", ", separated by commas"))
        answer = (
            say(
                rng,
                f"[Here are {words.NUMBERS[count]} {kind}|{capital(words.NUMBERS[count])} {kind}"
                " are]: ",
            )
            + " "
            + join(
                [
                    (
                        item
                        if kind in (
                            "cities",
                            "months",
                            "planets",
                            "countries",
                            "languages",
                            "days of the week",
                            "girls' names",
                            "boys' names",
                        )
                        else item.lower()
                    )
                    for item in items
                ]
            )
            + "."
        )
    elif style < 0.5:
        ask += rng.choice((" as a numbered list", ", numbered", ""))
        answer = "\n".join(f"{i}. {item}" for i, item in enumerate(items, 1))
    else:
        intro = rng.choice((f"Here are {words.NUMBERS[count]} {kind}:\n", ""))
        answer = intro + "\n".join(f"- {item}" for item in items)
    return [
        ("user", roughen(rng, ask + ("?" if ask.startswith("Can") else "."))),
        ("assistant", answer),
    ]


def repeat(world: World) -> Chat:
    """Repeats, joins or marks words that the user gives: pure copying."""
    rng = world.rng
    items = [rng.choice((world.name, world.thing, world.town))() for _ in range(rng.randint(1, 6))]
    text = join(items)
    ask, answer = rng.choice(
        (
            ("[Repeat after me|Say|Please repeat|Repeat]: {text}", "{text}"),
            ("[Repeat after me|Please repeat|Repeat] twice: {text}", "{text}\n{text}"),
            (
                "[Make a list of|List|Write as a list|Put in a list]: {text}",
                "- " + "\n- ".join(items),
            ),
            (
                "[Make a numbered list of|Number these]: {text}",
                "\n".join(f"{i}. {item}" for i, item in enumerate(items, 1)),
            ),
            ("What is the first word of this list: {text}?", f"The first one is {items[0]}."),
            ("What is the last word of this list: {text}?", f"The last one is {items[-1]}."),
            (
                "[Write in capital letters|Write in upper case|Make it upper case]: " + items[0],
                items[0].upper(),
            ),
        )
    )
    if not ask.endswith("?") and rng.random() < 0.3:
        ask += "."
    fill = {"text": text}
    return [("user", say(rng, ask, **fill)), ("assistant", answer.replace("{text}", text))]


def rewrite(world: World) -> Chat:
    """Rewrites one sentence: past, question, negation, politeness, another name."""
    rng = world.rng
    slots = _slots(world)
    slots["other"] = world.name()
    verb, past = rng.choice(
        (
            ("buys", "bought"),
            ("finds", "found"),
            ("sees", "saw"),
            ("takes", "took"),
            ("has", "had"),
            ("paints", "painted"),
            ("needs", "needed"),
            ("likes", "liked"),
            ("loses", "lost"),
            ("sells", "sold"),
            ("makes", "made"),
            ("carries", "carried"),
            ("wants", "wanted"),
        )
    )
    base = {
        "has": "have",
        "loses": "lose",
        "makes": "make",
        "takes": "take",
        "likes": "like",
        "carries": "carry",
    }.get(verb, verb[:-1])
    slots.update(verb=verb, past=past, base=base)
    sentence = "{name} {verb} a {thing} [in {place}|in {town}|on {day}|]."
    sentence = say(rng, sentence, **slots)
    tail = sentence[len(slots["name"]) + len(verb) + 2 : -1]
    ask, answer = rng.choice(
        (
            (
                "[Put this into the past|Rewrite in the past tense|Write this in the past]: ",
                f"{slots['name']} {past} {tail}.",
            ),
            (
                "[Turn this into a question|Make a question of this|Rewrite as a question]: ",
                f"Does {slots['name']} {base} {tail}?",
            ),
            (
                "[Say the opposite|Rewrite this with not|Make this negative]: ",
                f"{slots['name']} does not {base} {tail}.",
            ),
            (
                (
                    f"[Replace {slots['name']} with {slots['other']}|Change the name to"
                    f" {slots['other']}]: "
                ),
                f"{slots['other']} {verb} {tail}.",
            ),
        )
    )
    return [("user", say(rng, ask) + " " + sentence), ("assistant", answer)]


def sentence(world: World) -> Chat:
    """One or two sentences that use given words."""
    rng = world.rng
    slots = _slots(world)
    ask = "[Write|Make|Form|Give me] a [sentence|short text|sentence or two] with the [word|words] "
    if rng.random() < 0.5:
        ask += '"{thing}"'
        answer = (
            "[Yesterday I saw a {thing} at the market, and I could not stop looking at it.|My"
            " grandmother keeps a {thing} on her table and never lets anyone touch it.|The {thing}"
            " stood by the window and waited for the morning.|Every {day} we clean the {thing} and"
            " put it back in its place.]"
        )
    else:
        ask += '"{name}" and "{thing}"'
        answer = (
            "[{name} bought a {thing} in {town} and gave it to a friend.|On {day}, {name} forgot"
            " the {thing} on the train.|{name} looked at the {thing} for a long time and"
            " smiled.|Nobody but {name} knew where the {thing} was hidden.]"
        )
    return [
        ("user", roughen(rng, say(rng, ask, **slots) + ".")),
        ("assistant", say(rng, answer, **slots)),
    ]


def letter(world: World) -> Chat:
    """A short letter to somebody."""
    rng = world.rng
    slots = _slots(world)
    index = rng.randrange(len(LETTERS))
    text = "\n\n".join(say(rng, part, **slots) for part in LETTERS[index].split("\n\n"))
    return [
        ("user", roughen(rng, say(rng, LETTER_ASKS[index], **slots) + ".")),
        ("assistant", text),
    ]


def poem(world: World) -> Chat:
    """Four lines about a thing, or about any subject."""
    rng = world.rng
    slots = _slots(world)
    if rng.random() < 0.55:
        return _subject_poem(world)
    ask = (
        "[Write|Write me|Can you write|Make|Tell me|I would like] a [|short |little |nice ]poem"
        " about [a|the|my] {thing}[| and {name}]"
    )
    ask = say(rng, ask, **slots)
    lines = expand_lines(world, rng.choice(POEMS), slots)
    return [
        ("user", roughen(rng, ask + ("?" if ask.startswith("Can") else "."))),
        ("assistant", lines),
    ]


def _subject_poem(world: World) -> Chat:
    """A poem, or three lines, about a subject as the user names it."""
    rng = world.rng
    dice = rng.random()
    subject = rng.choice(SUBJECTS)
    if dice < 0.2:
        subject = f"a {world.thing()}"
    elif dice < 0.35:
        subject = world.topic()
    elif dice < 0.45:
        subject = world.name()
    elif dice < 0.55:
        subject = f"my {rng.choice(words.PETS)}"
    elif dice < 0.65:
        subject = f"the {world.creature()}"
    short = rng.random() < 0.2
    kind = "haiku" if short else "[poem|short poem|little poem|nice poem|rhyme|funny poem]"
    ask = say(
        rng,
        "[Write|Write me|Can you write|Please write|Make|Give me|I would like|Tell me] a"
        f" {kind} about {{subject}}",
        subject=subject,
    )
    answer = expand_lines(
        world,
        rng.choice(HAIKU if short else SUBJECT_POEMS),
        {"subject": subject.replace("my ", "your ", 1) if subject.startswith("my ") else subject},
    )
    return [
        ("user", roughen(rng, ask + ("?" if ask.startswith("Can") else "."))),
        ("assistant", answer),
    ]


def expand_lines(world: World, template: str, slots: dict) -> str:
    """Expands a template, keeping its line breaks and giving each line a capital."""
    lines = expand(world.rng, template).split("\n")
    return "\n".join(capital(say(world.rng, line, **slots)) for line in lines)


def describe(world: World) -> Chat:
    """Describes an imaginary thing."""
    rng = world.rng
    slots = _slots(world)
    ask = say(
        rng,
        "[Describe|Can you describe|Please describe|Write a description of] a {thing}[| from"
        " {town}]",
        **slots,
    )
    return [
        ("user", roughen(rng, ask + ("?" if ask.startswith("Can") else "."))),
        ("assistant", say(rng, DESCRIPTIONS[0], **slots)),
    ]


def advice(world: World) -> Chat:
    """Some general tips for whatever the user plans."""
    rng = world.rng
    project = say(rng, rng.choice(PROJECTS), **_slots(world))
    project = project[:1].lower() + project[1:]
    count = rng.choice((2, 3, 3, 4))
    ask = say(
        rng,
        f"[Give me|I need|Do you have|Can you give me|Tell me] {words.NUMBERS[count]}"
        " [tips|ideas|pieces of advice] for {project}",
        project=project,
    )
    question = ask.startswith(("Do", "Can"))
    tips = rng.sample(ADVICE, count)
    lines = "\n".join(f"{i}. {tip}" for i, tip in enumerate(tips, 1))
    intro = say(
        rng,
        f"[Here are {words.NUMBERS[count]} tips|These are my ideas|Gladly! Here are my tips] for "
        "{project}:",
        project=project.replace(" my ", " your "),
    )
    return [
        ("user", roughen(rng, ask + ("?" if question else "."))),
        ("assistant", f"{intro}\n{lines}"),
    ]


def tips(world: World) -> Chat:
    """A numbered list of tips for something that many people ask about."""
    rng = world.rng
    names, known = rng.choice(tuple(TIPS.items()))
    project = rng.choice(names.split("|"))
    count = rng.choice((2, 3, 3, 3, 4, 5))
    number = rng.choice((words.NUMBERS[count], words.NUMBERS[count], str(count)))
    if rng.random() < 0.25:
        count, number = 3, rng.choice(("some", "a few"))
    ask = say(
        rng,
        f"[Give me|I need|Do you have|Can you give me|Tell me|Write|List|Please give me] {number}"
        " [tips|tips|good tips|ideas|pieces of advice] for {project}",
        project=project,
    )
    intro = say(
        rng,
        f"[Here are {words.NUMBERS[count]} tips for {{project}}|Gladly! Here are"
        f" {words.NUMBERS[count]} tips for {{project}}]:",
        project=project.replace("my ", "your "),
    )
    chosen = sorted(rng.sample(range(len(known)), count))
    lines = "\n".join(f"{i}. {known[tip]}" for i, tip in enumerate(chosen, 1))
    question = ask.startswith(("Do", "Can"))
    return [
        ("user", roughen(rng, ask + ("?" if question else "."))),
        ("assistant", f"{intro}\n{lines}"),
    ]


def choose(world: World) -> Chat:
    """Chooses between two things that the user names."""
    rng = world.rng
    first, second = world.thing(), world.thing()
    picked = rng.choice((first, second))
    ask = say(
        rng,
        "[What do you like more|Which is better|What should I take|What should I buy|Which one do"
        " you like]: a {first} or a {second}?",
        first=first,
        second=second,
    )
    answer = say(
        rng,
        "[I would take the {picked}.|I like the {picked} better.|I would choose the {picked}.] [A"
        " {picked} is always useful.|There are more stories about a {picked}.|But both of them are"
        " nice.|A {picked} can make a day better.] [Which one do you like?|And you?|But it is your"
        " choice.]",
        picked=picked,
    )
    return [("user", roughen(rng, ask)), ("assistant", answer)]


def count_things(world: World) -> Chat:
    """Counts what the user lists."""
    rng = world.rng
    count = rng.randint(2, 6)
    items = [world.thing() for _ in range(count)]
    ask = say(
        rng,
        "[I have|There is|In my bag there is|On the table there is|I see] "
        + join([f"a {item}" for item in items])
        + ". [How many things are there?|How many things is that?|Count the "
        "things.|How many are these?]",
    )
    answer = say(
        rng,
        f"[There are|These are] {words.NUMBERS[count]} things: "
        + join([f"the {item}" for item in items])
        + ".",
    )
    return [("user", roughen(rng, ask)), ("assistant", answer)]


TASKS = (
    make_list,
    repeat,
    rewrite,
    sentence,
    letter,
    poem,
    poem,
    describe,
    tips,
    tips,
    advice,
    choose,
    count_things,
)


def task(world: World) -> Chat:
    """Any of the little tasks."""
    return world.rng.choice(TASKS)(world)
