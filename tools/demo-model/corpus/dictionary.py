"""Short definitions: things, animals, jobs and countries, each in one line."""

from __future__ import annotations

from .core import Chat, World, plural, roughen, say

# What a thing is | what else there is to say about it.
THINGS = """
teapot: a pot for making and pouring tea | It has a handle and a spout.
kettle: a pot for boiling water | When the water boils, some kettles whistle.
umbrella: a round roof on a stick that you can carry | It keeps you dry when it rains.
candle: a stick of wax with a string inside | It gives light when you burn the string.
lamp: a thing that gives light | Most lamps need electricity.
lantern: a lamp that you can carry | It has glass around the light, so the wind cannot blow it out.
mirror: a piece of glass that shows you your own face | It throws the light back.
clock: a machine that shows the time | It counts hours, minutes and seconds.
bell: a piece of metal that rings when you hit it | Churches and bicycles have one.
drum: an instrument that you hit with your hands or with sticks | It gives the rhythm.
violin: a small instrument of wood with four strings | You play it with a bow.
guitar: an instrument with six strings | You play it with your fingers.
piano: a large instrument with black and white keys | Little hammers hit the strings inside.
trumpet: an instrument of brass | You blow into it, and it is quite loud.
flute: an instrument that you blow across | It sounds light and clear.
book: a stack of pages with words on them | It can tell a story or explain something.
letter: a message on paper | You put it into an envelope and send it by post.
map: a picture of a piece of land from above | It helps you to find the way.
pencil: a stick of wood for writing and drawing | You can rub out what you have written.
key: a small piece of metal that opens a lock | Do not lose it!
door: a part of a wall that you can open | You go through it into a room or a house.
window: a hole in a wall with glass in it | It lets the light in and keeps the wind out.
chair: a seat for one person | It has a back and mostly four legs.
table: a flat board on legs | People eat and work at it.
bed: a piece of furniture to sleep in | It should be soft and warm.
hat: a thing that you wear on your head | It keeps off the sun, the rain or the cold.
scarf: a long piece of cloth for the neck | It keeps you warm in winter.
crown: a ring of gold that a king or a queen wears | It is often heavy.
ladder: a thing with steps for climbing up | Firefighters and painters use one.
hammer: a tool for hitting nails | It has a handle of wood and a head of iron.
saw: a tool with sharp teeth | You cut wood with it.
wheel: a round thing that turns | Carts, cars and bicycles roll on wheels.
bicycle: a vehicle with two wheels | You move it with your legs.
boat: a small ship | It carries people over the water.
ship: a large vehicle for the sea | It carries many people or goods.
anchor: a heavy hook of iron | It holds a ship in its place.
train: a row of wagons that runs on rails | It takes you quickly from city to city.
rocket: a machine that flies into space | It pushes hot gas down and so goes up.
balloon: a thin bag filled with air or gas | Large ones can carry people.
kite: a toy of paper or cloth that flies in the wind | You hold it by a string.
telescope: a tube with lenses | It shows you things that are far away, such as the moon.
microscope: an instrument with lenses | It shows you very small things.
compass: an instrument with a needle that points north | It helps you to find the way.
camera: a machine for taking pictures | It catches the light.
telephone: a machine for talking to people far away | Today most people carry one with them.
radio: a machine that lets you hear music and news | It receives waves from far away.
battery: a small store of electricity | Torches and telephones need one.
bridge: a road over a river or a valley | It can be made of wood, stone or steel.
tower: a tall and narrow building | From the top you can see far.
lighthouse: a tower with a strong light | It shows ships the way at night.
castle: a large house with thick walls | Kings and knights lived in castles.
museum: a house full of old or beautiful things | Everybody can go in and look at them.
fountain: a well that throws water into the air | You find it in parks and squares.
egg: a round thing from which a bird comes out | Many people eat eggs of hens.
honey: a sweet food made by bees | They make it from the juice of flowers.
cheese: a food made from milk | There are hundreds of kinds.
bread: a food made from flour and water | It is baked in an oven.
soup: a hot dish that you eat with a spoon | It is made from vegetables or meat.
apple: a round fruit that grows on a tree | It is red, green or yellow.
banana: a long yellow fruit | It grows in warm countries, and monkeys like it too.
mushroom: a soft thing with a hat that grows in the forest | Some are good to eat, others are
  dangerous.
feather: a light thing that covers a bird | It keeps the bird warm and helps it to fly.
river: water that flows through the land | It begins at a spring and ends in the sea.
mountain: a very high piece of land | It is cold at the top, and there is often snow.
island: a piece of land with water all around it | You need a boat or a bridge to get there.
forest: a large place full of trees | Many animals live there.
desert: a dry land with very little rain | It is hot by day and cold at night.
lake: a large piece of water with land all around it | You can swim or fish in it.
"""

# Kind | where it lives | what it eats | something special.
ANIMALS = """
fox: a wild animal with red fur | in forests and fields | mice, birds and fruit | it is known to
  be clever
wolf: a wild relative of the dog | in forests and mountains | deer and other animals | it lives in
  packs
bear: a large and strong animal | in forests and mountains | berries, fish and honey | it sleeps
  through the winter
hedgehog: a small animal with sharp spines | in gardens and forests | insects and snails | it
  rolls up like a ball
squirrel: a small animal with a long tail | in trees | nuts and seeds | it hides food for the winter
rabbit: a small animal with long ears | in fields | grass and carrots | it digs holes in the ground
mouse: a very small animal with a long tail | in fields and houses | seeds and bread | it is quick
  and shy
deer: a shy animal with long legs | in the forest | grass and leaves | it can run very fast
owl: a bird with large eyes | in forests and old towers | mice | it hunts at night
eagle: a large bird with strong wings | in the mountains | fish and small animals | it has very
  sharp eyes
penguin: a bird that cannot fly | near the cold sea in the south | fish | it swims very well
parrot: a colourful bird | in warm forests | seeds and fruit | it can learn to say words
swan: a large white bird with a long neck | on lakes | plants | it stays with its partner for life
frog: a small green animal | near ponds | insects | it can jump very far
turtle: an animal with a hard shell | in the sea and on land | plants and jellyfish | it can
  become very old
snake: an animal without legs | in many warm places | mice and eggs | it smells with its tongue
crocodile: a large animal with strong teeth | in warm rivers | fish and other animals | it has
  lived on Earth for a very long time
dolphin: an animal of the sea that breathes air | in the sea | fish | it is clever and likes to play
shark: a large fish with many teeth | in the sea | fish | it always grows new teeth
octopus: an animal with eight arms | in the sea | crabs | it has three hearts
crab: an animal with a hard shell | on the beach | almost anything | it walks sideways
snail: a small animal with a house on its back | in gardens | leaves | it is very slow
ant: a very small insect | in large colonies | seeds and insects | it can carry things heavier
  than itself
spider: a small animal with eight legs | in its web | flies | it makes its web from silk
butterfly: an insect with colourful wings | in meadows | the juice of flowers | it was a
  caterpillar once
lion: a big cat with golden fur | in Africa | zebras and other animals | it roars loudly
tiger: the largest of the cats | in Asia | deer and wild pigs | it has black stripes
zebra: an animal like a horse with stripes | in Africa | grass | no two of them have the same
  stripes
monkey: a clever animal with hands | in warm forests | fruit and leaves | it is good at climbing
camel: a large animal with one or two humps | in the desert | dry plants | it can live without
  water for many days
kangaroo: a large animal that jumps | in Australia | grass | it carries its baby in a pouch
koala: a grey animal that looks like a little bear | in Australia | leaves | it sleeps most of the
  day
panda: a black and white bear | in China | bamboo | it eats almost all day long
horse: a large animal with strong legs | on farms and in meadows | grass and oats | people can
  ride on it
cow: a large animal that gives milk | on farms | grass | it has four parts in its stomach
sheep: an animal with thick wool | on meadows | grass | people make clothes from its wool
goat: an animal with horns | on farms and in mountains | grass and leaves | it climbs very well
pig: a clever animal with pink skin | on farms | almost anything | it likes to lie in the mud
hen: a bird that lays eggs | on farms | seeds and worms | its children are called chicks
duck: a bird that swims | on lakes and rivers | plants and small animals | its feathers stay dry
bat: a small animal that flies | in caves and old houses | insects | it finds its way with its ears
beaver: an animal with strong teeth | near rivers | bark and plants | it builds dams of wood
seal: an animal of the sea with soft fur | on cold coasts | fish | it can hold its breath for a
  long time
flamingo: a pink bird with long legs | in shallow lakes | tiny animals | it can sleep on one leg
"""

# What they do | what they need for it.
JOBS = """
baker: bakes bread and cakes | a hot oven, flour and an early start
farmer: grows plants and keeps animals | land, rain and patience
painter: paints pictures or houses | brushes and many colours
sailor: works on a ship | a good sense for wind and water
gardener: takes care of plants | a spade, water and green fingers
teacher: helps others to learn | patience and good examples
doctor: helps sick people | much knowledge and a kind heart
nurse: takes care of sick people | patience and quick hands
carpenter: makes things of wood | a saw, a hammer and good wood
tailor: makes clothes | a needle, thread and cloth
clockmaker: makes and mends clocks | small tools and sharp eyes
shepherd: takes care of sheep | a dog and warm clothes
librarian: takes care of the books in a library | order and a love of reading
musician: plays music | an instrument and a lot of practice
cook: prepares meals | fresh food and a good taste
postman: brings letters and parcels | strong legs or a bicycle
pilot: flies aeroplanes | good eyes and a calm mind
astronaut: travels into space | long training and courage
inventor: has new ideas and builds them | imagination and a workshop
scientist: tries to find out how the world works | questions and experiments
blacksmith: makes things of iron | fire, a hammer and strong arms
detective: finds out who did it | sharp eyes and good questions
firefighter: puts out fires and saves people | water, a ladder and courage
poet: writes poems | words and time to dream
engineer: plans and builds machines | mathematics and good ideas
programmer: writes programs for computers | logic, patience and tea
potter: makes cups and bowls of clay | a wheel and calm hands
beekeeper: takes care of bees | a hat with a net and no fear
"""

# Continent | capital | something about it.
COUNTRIES = """
France: Europe | Paris | It is known for its bread, its cheese and the Eiffel Tower.
Germany: Europe | Berlin | It is known for its music, its forests and its cars.
Italy: Europe | Rome | It looks like a boot on the map, and pizza comes from there.
Spain: Europe | Madrid | It is warm and sunny, and many people spend their holidays there.
England: Europe | London | It is known for its tea, its gardens and its rain.
Switzerland: Europe | Bern | It has high mountains, and people there speak four languages.
Norway: Europe | Oslo | It has long arms of the sea between its mountains.
Sweden: Europe | Stockholm | It has many forests and lakes.
Greece: Europe | Athens | It has hundreds of islands and a very old history.
Poland: Europe | Warsaw | It has old cities and wide fields.
Egypt: Africa | Cairo | It has old pyramids, and the Nile flows through it.
Kenya: Africa | Nairobi | Lions, elephants and giraffes live there.
Nigeria: Africa | Abuja | More people live there than in any other country of Africa.
Morocco: Africa | Rabat | It has mountains, a desert and colourful markets.
Japan: Asia | Tokyo | It is made of islands, and the cherry trees bloom there in spring.
China: Asia | Beijing | It is very large, and a very long wall was built there.
India: Asia | New Delhi | More than a thousand million people live there.
Thailand: Asia | Bangkok | It has old temples and warm beaches.
Canada: North America | Ottawa | It is very large, and there are many lakes and bears.
Mexico: North America | Mexico City | Chocolate and old pyramids come from there.
Brazil: South America | Brasilia | The Amazon flows through its huge forest.
Peru: South America | Lima | High in its mountains there are llamas and old cities.
Argentina: South America | Buenos Aires | The tango comes from there.
Australia: Oceania | Canberra | Kangaroos and koalas live there.
New Zealand: Oceania | Wellington | It has two large islands and more sheep than people.
Iceland: Europe | Reykjavik | It has volcanoes, glaciers and hot springs.
"""


def _parse(text: str) -> list[tuple[str, list[str]]]:
    """Reads \"head: part | part\" lines; an indented line continues the one before."""
    entries = []
    for line in text.strip().replace("\n  ", " ").splitlines():
        head, _, rest = line.partition(": ")
        entries.append((head, [part.strip() for part in rest.split("|")]))
    return entries


_THINGS, _ANIMALS, _JOBS, _COUNTRIES = (_parse(t) for t in (THINGS, ANIMALS, JOBS, COUNTRIES))

WHAT_IS = (
    "[What is a {n}|What's a {n}|What is a {n}|Explain what a {n} is|Can you explain what a {n}"
    " is|Tell me what a {n} is|Do you know what a {n} is|Define {n}|What does the word {n} mean]?"
)
NO_ARTICLE = ("honey", "cheese", "bread", "soup")


def _thing(world: World) -> tuple[str, str]:
    noun, (what, more) = world.rng.choice(_THINGS)
    ask, answer = WHAT_IS, "[A {n} is|A {n} is] {what}. {more}"
    if noun in NO_ARTICLE:
        ask, answer = WHAT_IS.replace("a {n}", "{n}"), "{N} is {what}. {more}"
    if world.rng.random() < 0.25:
        ask, answer = "What is a {n} for?", "A {n} is {what}. {more}"
        if noun in NO_ARTICLE:
            ask, answer = "What is {n} made of?", "{N} is {what}. {more}"
    rng = world.rng
    return say(rng, ask, n=noun), say(rng, answer, n=noun, what=what, more=more)


def _animal(world: World) -> tuple[str, str]:
    rng = world.rng
    noun, (what, where, food, special) = rng.choice(_ANIMALS)
    ask, answer = rng.choice(
        (
            (
                (
                    "[What is a {n}|Tell me about {ns}|Tell me about the {n}|Describe a {n}|What do"
                    " you know about {ns}|What kind of animal is a {n}]?"
                ),
                (
                    "The {n} is {what}. It lives {where} and eats {food}. [By the way,"
                    " {special}.|And {special}.|It is special, because {special}.]"
                ),
            ),
            (
                "[Where does a {n} live|Where do {ns} live]?",
                "The {n} lives {where}. It is {what}[.|, and {special}.]",
            ),
            ("[What does a {n} eat|What do {ns} eat]?", "The {n} eats {food}. It lives {where}."),
            (
                (
                    "[What is special about {ns}|Tell me something about {ns}|What is interesting"
                    " about a {n}]?"
                ),
                "The {n} is {what}, and {special}. It lives {where}.",
            ),
        )
    )
    slots = dict(n=noun, ns=plural(noun), what=what, where=where, food=food, special=special)
    return say(rng, ask, **slots), say(rng, answer, **slots)


def _job(world: World) -> tuple[str, str]:
    rng = world.rng
    noun, (does, needs) = rng.choice(_JOBS)
    ask = (
        "[What does a {n} do|What is the job of a {n}|What is a {n}|Tell me about the work of a"
        " {n}]?"
    )
    return say(rng, ask, n=noun), say(
        rng, "A {n} {does}. For this work, a {n} needs {needs}.", n=noun, does=does, needs=needs
    )


def _country(world: World) -> tuple[str, str]:
    rng = world.rng
    name, (continent, city, more) = rng.choice(_COUNTRIES)
    ask, answer = rng.choice(
        (
            (
                "[Where is {n}|On which continent is {n}]?",
                "{n} is in {continent}. Its capital is {city}.",
            ),
            (
                (
                    "[Tell me about {n}|What do you know about {n}|What is {n}|Tell me something"
                    " about {n}]?"
                ),
                "{n} is a country in {continent}. Its capital is {city}. {more}",
            ),
            (
                "[What is {n} known for|What is special about {n}]?",
                "{n} is a country in {continent}. {more}",
            ),
        )
    )
    slots = dict(n=name, continent=continent, city=city, more=more)
    return say(rng, ask, **slots), say(rng, answer, **slots)


def definitions(world: World) -> Chat:
    """One to three questions about common things, animals, jobs and countries."""
    rng = world.rng
    chat: Chat = []
    for _ in range(rng.choice((1, 1, 2, 3))):
        ask, answer = rng.choice((_thing, _animal, _animal, _job, _country))(world)
        if ask.startswith(("Tell", "Explain", "Describe", "Define")):
            ask = ask[:-1] + "."
        chat += [("user", roughen(rng, ask)), ("assistant", answer)]
    return chat
