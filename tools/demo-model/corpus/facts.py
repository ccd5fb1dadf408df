"""Simple questions about the world, with hand-written answers, and polite answers to the rest."""

from __future__ import annotations

from . import words
from .core import Chat, World, capital, plural, roughen, say, vary

# Each entry: ways to ask (without the question mark), and a template of the answer.
KNOWLEDGE = (
    (
        (
            "Why is the sky blue|Why is the sky so blue|Can you explain why the sky is blue|What"
            " makes the sky blue"
        ),
        (
            "The light of the sun is made of all colours. [When it passes through the air, the blue"
            " light is scattered much more than the red light|The air scatters the blue light more"
            " than the other colours]. So blue light comes to us from all sides, and the sky looks"
            " blue."
        ),
    ),
    (
        "Why is the sunset red|Why is the sky red in the evening|Why are sunsets red",
        (
            "In the evening the sunlight has a long way through the air. [Most of the blue light is"
            " scattered away|The blue light is lost on the way], and the red light is left. So the"
            " sky looks red."
        ),
    ),
    (
        "Why is grass green|Why are leaves green|Why are plants green",
        (
            "[Grass and leaves are|Plants are] green because of a green substance called"
            " chlorophyll. It catches the light of the sun, and the plant uses this light to make"
            " its food."
        ),
    ),
    (
        "Why do leaves fall in autumn|Why do leaves change colour|Why do trees lose their leaves",
        (
            "In autumn there is less light, and the water may freeze soon. The tree takes the green"
            " colour back from its leaves, so we see yellow and red. Then the leaves fall, and the"
            " tree saves its strength for the winter."
        ),
    ),
    (
        "Why is the sea salty|Why is the ocean salty|Why is sea water salty",
        (
            "Rain washes tiny bits of salt out of the rocks, and rivers carry them to the sea. The"
            " water goes back into the air, but the salt stays. So over a very long time the sea"
            " has become salty."
        ),
    ),
    (
        "Why does it rain|How does rain form|Where does rain come from|What is rain",
        (
            "The sun warms the water of seas and lakes, and some of it rises into the air. High up"
            " it is cold, and tiny drops form clouds. When the drops grow too heavy, they fall down"
            " as rain."
        ),
    ),
    (
        "What is snow|Why does it snow|How does snow form",
        (
            "Snow is frozen water. When it is very cold high up in the clouds, the water becomes"
            " tiny crystals of ice. They stick together and fall down as snowflakes."
        ),
    ),
    (
        "What is a rainbow|How does a rainbow form|Why do we see rainbows",
        (
            "A rainbow appears when the sun shines on drops of rain. Each drop splits the white"
            " light into its colours: red, orange, yellow, green, blue and violet. You see it when"
            " the sun is behind you."
        ),
    ),
    (
        "What is thunder|What is lightning|Why is there thunder|How does lightning work",
        (
            "Lightning is a huge spark of electricity between clouds, or between a cloud and the"
            " ground. It heats the air so fast that the air makes a loud bang. That bang is the"
            " thunder."
        ),
    ),
    (
        "What is wind|Why is there wind|Where does the wind come from",
        (
            "Wind is moving air. The sun warms some places more than others. Warm air rises, and"
            " cooler air flows in to take its place: that is the wind."
        ),
    ),
    (
        "What is a cloud|What are clouds made of|How do clouds form",
        (
            "A cloud is made of many tiny drops of water or bits of ice. They form when warm, wet"
            " air rises and cools down. When the drops become heavy, it rains."
        ),
    ),
    (
        "What is the sun|Tell me about the sun|How hot is the sun",
        (
            "The sun is a star, a huge ball of very hot gas. It gives us light and warmth, and"
            " without it there would be no life on Earth. It is so big that about a million Earths"
            " would fit inside."
        ),
    ),
    (
        "What is the moon|Tell me about the moon|What is the moon made of",
        (
            "The moon is a ball of rock that travels around the Earth. It needs about a month for"
            " one round. It has no light of its own: we see it because the sun shines on it."
        ),
    ),
    (
        (
            "Why does the moon change its shape|Why is there a full moon|What are the phases of the"
            " moon"
        ),
        (
            "The sun always lights one half of the moon. While the moon travels around the Earth,"
            " we see more or less of the bright half. So it seems to grow and to shrink."
        ),
    ),
    (
        "What is a star|What are stars|Why do stars shine|Tell me about stars",
        (
            "A star is a huge ball of hot gas that makes its own light. Our sun is a star too. The"
            " other stars look small because they are very far away."
        ),
    ),
    (
        "What is a planet|How many planets are there|Name the planets|Which planets are there",
        (
            "A planet is a large ball that travels around a star. Eight planets travel around our"
            " sun: Mercury, Venus, Earth, Mars, Jupiter, Saturn, Uranus and Neptune."
        ),
    ),
    (
        "Which planet is the biggest|What is the largest planet|Tell me about Jupiter",
        (
            "Jupiter is the largest planet of our sun. It is made mostly of gas, and more than a"
            " thousand Earths would fit inside."
        ),
    ),
    (
        "Tell me about Mars|What is Mars|Why is Mars red",
        (
            "Mars is a planet, the next one after the Earth. It is red because there is rust in its"
            " soil. It is cold and dry there, and robots explore it."
        ),
    ),
    (
        "What is the Earth|Is the Earth round|Tell me about the Earth|What shape is the Earth",
        (
            "The Earth is our planet. It is round like a ball, and most of it is covered with"
            " water. It travels around the sun once a year and turns around itself once a day."
        ),
    ),
    (
        "Why is there day and night|Why does it get dark at night|Why is it dark at night",
        (
            "The Earth turns around itself once a day. When our side looks at the sun, it is day."
            " When it looks away from the sun, it is night."
        ),
    ),
    (
        (
            "Why are there seasons|Why is it cold in winter|Why is winter cold|Why is it warm in"
            " summer"
        ),
        (
            "The axis of the Earth is tilted. In summer our side leans towards the sun, so the days"
            " are long and warm. In winter it leans away, so the days are short and cold."
        ),
    ),
    (
        "How many seasons are there|What are the seasons|Name the four seasons",
        (
            "There are four seasons: spring, summer, autumn and winter. In spring the flowers come,"
            " summer is warm, in autumn the leaves fall, and winter is cold."
        ),
    ),
    (
        "How many days are in a week|Name the days of the week|What are the days of the week",
        "A week has seven days: Monday, Tuesday, Wednesday, Thursday, Friday, Saturday and Sunday.",
    ),
    (
        "How many months are in a year|Name the months|What are the months of the year",
        (
            "A year has twelve months: January, February, March, April, May, June, July, August,"
            " September, October, November and December."
        ),
    ),
    (
        "How many days are in a year|How long is a year|How many days does a year have",
        (
            "A year has 365 days. Every fourth year has one day more, so it has 366 days. That is"
            " called a leap year."
        ),
    ),
    (
        "How many hours are in a day|How long is a day",
        "A day has 24 hours. Each hour has 60 minutes.",
    ),
    (
        "How many minutes are in an hour|How long is an hour",
        "An hour has 60 minutes, and each minute has 60 seconds.",
    ),
    (
        "What is water|Why is water important|What is water made of",
        (
            "Water is a clear liquid without taste or smell. It is made of hydrogen and oxygen. All"
            " plants, animals and people need it to live."
        ),
    ),
    (
        "What is ice|Why does ice float|When does water freeze",
        (
            "Ice is frozen water. Water freezes at zero degrees Celsius. Ice is lighter than water,"
            " so it floats."
        ),
    ),
    (
        "When does water boil|At what temperature does water boil|How hot is boiling water",
        "Water boils at one hundred degrees Celsius at sea level. Then it turns into steam.",
    ),
    (
        "What is gravity|Why do things fall down|Why do apples fall|Explain gravity",
        (
            "Gravity is the force that pulls things towards each other. The Earth is very heavy, so"
            " it pulls everything towards it. That is why things fall down, and why we stay on the"
            " ground."
        ),
    ),
    (
        "What is light|How fast is light|What is the speed of light",
        (
            "Light is what lets us see. Nothing is faster: it travels about three hundred thousand"
            " kilometres in one second. The light of the sun needs about eight minutes to reach us."
        ),
    ),
    (
        "What is sound|How does sound travel|What is an echo",
        (
            "Sound is a trembling of the air. It travels through the air as a wave until it reaches"
            " our ears. When it comes back from a wall or a mountain, we hear an echo."
        ),
    ),
    (
        "What is electricity|How does electricity work|Explain electricity",
        (
            "Electricity is the flow of very tiny parts called electrons through a wire. It gives"
            " us light and warmth, and it makes machines run. Be careful with it, because it can be"
            " dangerous."
        ),
    ),
    (
        "What is a magnet|How does a magnet work",
        (
            "A magnet is a thing that pulls iron towards it. It has two ends, a north pole and a"
            " south pole. Two equal ends push each other away, and two different ends pull each"
            " other."
        ),
    ),
    (
        "What is an atom|What are atoms",
        (
            "Atoms are the tiny parts that everything is made of. An atom has a core, and electrons"
            " move around it. It is so small that you cannot see it."
        ),
    ),
    (
        "What is energy|Explain energy",
        (
            "Energy is what you need to do work: to move something, to warm it or to light it. It"
            " is never lost. It only changes its form, for example from food into motion."
        ),
    ),
    (
        "What is fire|Why is fire hot|How does fire work",
        (
            "Fire appears when something burns: it joins with the oxygen of the air and gives off"
            " heat and light. Without air, or without fuel, a fire goes out."
        ),
    ),
    (
        "What is a volcano|How does a volcano work|Why do volcanoes erupt",
        (
            "A volcano is a mountain with an opening deep into the Earth. Down there it is so hot"
            " that the rock is liquid. Sometimes it comes out as lava, with smoke and ash."
        ),
    ),
    (
        "What is an earthquake|Why are there earthquakes",
        (
            "The ground of the Earth is made of huge plates that move very slowly. When they get"
            " stuck and suddenly slip, the ground shakes. That is an earthquake."
        ),
    ),
    (
        "What is a computer|How does a computer work|Explain computers",
        (
            "A computer is a machine that follows instructions very quickly. It reads numbers from"
            " its memory, calculates with them and writes the result back. Everything you see on"
            " the screen is made of numbers."
        ),
    ),
    (
        "What is the internet|How does the internet work|Explain the internet",
        (
            "The internet is a huge network that connects computers all over the world. They send"
            " each other small packets of data. Web pages, mails and videos travel through it. By"
            " the way, baton does not need it."
        ),
    ),
    (
        "What is a robot|What are robots|Tell me about robots",
        (
            "A robot is a machine that can do work by itself. It has sensors to notice things, a"
            " computer to decide and motors to move. Some robots build cars, and others clean the"
            " floor."
        ),
    ),
    (
        "What is artificial intelligence|What is AI|Explain AI|Explain artificial intelligence",
        (
            "Artificial intelligence means programs that do things for which people need their"
            " mind, such as understanding text or pictures. Many of them learn from examples. I am"
            " a very small one."
        ),
    ),
    (
        "What is a program|What is programming|What is software|What is code",
        (
            "A program is a list of instructions for a computer. People write it in a programming"
            " language. The computer follows the instructions step by step."
        ),
    ),
    (
        "What is C++|Tell me about C++",
        (
            "C++ is a programming language for fast programs. Games, browsers and "
            "baton are written in it. It is not easy to learn, but very powerful."
        ),
    ),
    (
        "What is a network|What is a local network|What is wifi",
        (
            "A network connects computers so that they can talk to each other. A local network"
            " connects the machines in one house, by cable or by radio. Baton uses it to find your"
            " other machines."
        ),
    ),
    (
        "What is a GPU|What is a graphics card|What is a CPU|What is a processor",
        (
            "The processor, or CPU, does the calculations of a computer. A GPU is a processor that"
            " can do very many simple calculations at once. So it is good at prefill."
        ),
    ),
    (
        "How do planes fly|How does an airplane fly|Why do planes fly|How can an aeroplane fly",
        (
            "The engines push the plane forward, and air flows quickly over its wings. The wings"
            " turn the air downwards, and so the air pushes the plane up. That is how it can fly."
        ),
    ),
    (
        "How do birds fly|Why can birds fly",
        (
            "Birds have light bones, strong muscles and wings with feathers. "
            "They beat their wings and push the air down, and so they rise up."
        ),
    ),
    (
        "Why do ships float|Why does a boat float|How do ships float",
        (
            "A ship pushes water away, and the water pushes back. The ship is full of air, so it is"
            " lighter than the water it pushes away. That is why it floats."
        ),
    ),
    (
        "How do fish breathe|How can fish breathe under water",
        (
            "Fish breathe with gills. Water flows through "
            "them, and they take the oxygen out of the water."
        ),
    ),
    (
        "Why do we sleep|Why do people sleep|Why is sleep important|What is sleep",
        (
            "When we sleep, our body rests and repairs itself, and our brain sorts what we have"
            " learned. Without sleep we become tired and ill. Most adults need seven to nine hours"
            " each night."
        ),
    ),
    (
        "Why do we dream|What are dreams|What is a dream",
        (
            "Dreams are pictures and stories that our brain makes while we sleep. Nobody knows"
            " exactly why we dream. Maybe the brain sorts what happened during the day."
        ),
    ),
    (
        "Why do we eat|Why do we need food|What is healthy food|What should I eat",
        (
            "Food gives us energy and all that our body needs to grow. It is good to eat many"
            " vegetables and some fruit, bread or rice, and not too much sugar. And do not forget"
            " to drink water."
        ),
    ),
    (
        "Why do we breathe|What is oxygen|What is air",
        (
            "Air is a mix of gases, mostly nitrogen and oxygen. We breathe because our body needs"
            " the oxygen to get energy out of food. Plants make new oxygen."
        ),
    ),
    (
        "What does the heart do|What is the heart|How does the heart work",
        (
            "The heart is a strong muscle that pumps the blood through our body. The blood carries"
            " oxygen and food to every part. It beats about seventy times each minute."
        ),
    ),
    (
        "What is the brain|What does the brain do",
        (
            "The brain is the part of the body that thinks, feels and "
            "remembers. It controls how we move. It is made of billions of tiny nerve cells."
        ),
    ),
    (
        "How many bones does a person have|How many bones are in the body",
        "A grown person has 206 bones. A baby has more, but some of them grow together later.",
    ),
    (
        "What is a tree|How do trees grow|Why are trees important",
        (
            "A tree is a large plant with a trunk of wood. It makes its food from light, air and"
            " water. Trees give us oxygen, shade and fruit, and many animals live in them."
        ),
    ),
    (
        "How do plants grow|What do plants need",
        (
            "Plants need light, water, air and good soil. With the light of the sun they make their"
            " own food. First comes a root, then a stem, and then the leaves."
        ),
    ),
    (
        "What is a flower|Why do flowers smell good",
        (
            "A flower is the part of a plant that makes seeds. Its "
            "colour and its smell call the bees. They carry the pollen from flower to flower."
        ),
    ),
    (
        "How do bees make honey|What is honey|Where does honey come from",
        (
            "Bees collect a sweet juice from flowers. They carry it home, pass it on from bee to"
            " bee and dry it in the hive. So it becomes honey, their food for the winter."
        ),
    ),
    (
        "Why are bees important|Tell me about bees|What do bees do",
        (
            "Bees fly from flower to flower and carry pollen with them. Without them, many plants"
            " would have no fruit. They also make honey and wax."
        ),
    ),
    (
        (
            "How does a caterpillar become a butterfly|Where do butterflies come from|Tell me about"
            " butterflies"
        ),
        (
            "A butterfly begins as an egg. A caterpillar comes out, eats a lot and grows. Then it"
            " rests in a hard shell, and at the end a butterfly comes out."
        ),
    ),
    (
        "What do cats eat|Tell me about cats|What is a cat|Why do cats purr",
        (
            "A cat is a small animal that many people keep as a pet. Cats eat meat and fish, sleep"
            " a lot and hunt mice. They purr when they feel well."
        ),
    ),
    (
        "Tell me about dogs|What is a dog|Why do dogs bark",
        (
            "A dog is an animal that has lived with people for thousands of years. Dogs have a very"
            " good nose and are loyal friends. They bark to warn us or to say hello."
        ),
    ),
    (
        "Tell me about elephants|What is an elephant|What is the largest animal on land",
        (
            "The elephant is the largest animal on land. It has a long trunk, big ears and a very"
            " good memory. It eats grass, leaves and fruit."
        ),
    ),
    (
        (
            "What is the biggest animal|What is the largest animal|Tell me about whales|Are whales"
            " fish"
        ),
        (
            "The blue whale is the largest animal in the world. It can be about thirty metres long."
            " Whales live in the sea, but they are not fish: they breathe air."
        ),
    ),
    (
        "What is the fastest animal|Which animal is the fastest",
        (
            "The fastest animal on land is the cheetah. The "
            "falcon is even faster when it dives down from the sky."
        ),
    ),
    (
        "What is the tallest animal|Which animal is the tallest|Tell me about giraffes",
        (
            "The giraffe is the "
            "tallest animal. With its long neck it can eat leaves from the top of a tree."
        ),
    ),
    (
        "What is the highest mountain|Which mountain is the highest|How high is Mount Everest",
        (
            "The highest mountain in the world is Mount Everest. It is about 8849 metres high and"
            " stands between Nepal and China."
        ),
    ),
    (
        "What is the longest river|Which river is the longest",
        (
            "The Nile and the Amazon are the two longest rivers of the world. The Nile flows"
            " through Africa, and the Amazon through South America."
        ),
    ),
    (
        "What is the biggest ocean|How many oceans are there|What is the largest ocean",
        (
            "The Pacific is the largest ocean. The others are the Atlantic, the Indian Ocean, the"
            " Southern Ocean and the Arctic Ocean."
        ),
    ),
    (
        "How many continents are there|Name the continents",
        (
            "There are seven continents: Africa, Antarctica, "
            "Asia, Australia, Europe, North America and South America."
        ),
    ),
    (
        "What are the primary colours|How do I make green|How do I mix green",
        (
            "The primary colours of paint are red, yellow and blue. Blue and yellow make green, red"
            " and yellow make orange, and red and blue make purple."
        ),
    ),
    (
        "What are dinosaurs|Tell me about dinosaurs|What happened to the dinosaurs",
        (
            "Dinosaurs were animals that lived many millions of years ago. Some were as tall as a"
            " house. Most of them died out after a great rock from space hit the Earth, but the"
            " birds are their children."
        ),
    ),
    (
        "What is a dragon|Do dragons exist|Are dragons real|Tell me about dragons",
        (
            "A dragon is an animal from old stories. It has wings and can often breathe fire."
            " Dragons are not real, but I like to tell stories about them."
        ),
    ),
    (
        "What is music|Why do people like music",
        (
            "Music is sound that is put in order: melody, rhythm and "
            "harmony. It can make us happy or sad, and it brings people together."
        ),
    ),
    (
        "What is love|What is friendship|What is a friend|What makes a good friend",
        (
            "A friend is somebody who listens, helps and stays when times are hard. Love and"
            " friendship mean that you care about somebody as much as about yourself."
        ),
    ),
    (
        "What is happiness|How can I be happy|How do I become happy",
        (
            "Happiness is a feeling of joy and peace. It often comes when we are with friends, do"
            " something that we love, or help somebody. Be patient with yourself."
        ),
    ),
    (
        "What is time|What is a clock",
        (
            "Time is what a clock measures. We count it in seconds, minutes, hours and "
            "days. We can remember the past and plan the future, but we live in the present."
        ),
    ),
    (
        "What is money|Why do we need money",
        (
            "Money is something that everybody takes in exchange for things. "
            "Without it, a baker who needs shoes would have to find a shoemaker who wants bread."
        ),
    ),
    (
        "What is a library|What is a book|Why should I read books",
        (
            "A book tells a story or explains something. In a library you can borrow many books."
            " Reading makes you wiser and takes you to places far away."
        ),
    ),
    (
        "What is history|What is science|What is mathematics",
        (
            "History tells what happened in the past. Science tries to find out how the world"
            " works, with questions and experiments. Mathematics is about numbers, shapes and"
            " proofs."
        ),
    ),
    (
        "How do I make tea|How do you make tea|How can I make a cup of tea",
        (
            "To make tea, boil some water and pour it over the tea leaves. Wait three to five"
            " minutes, and then take the leaves out. Add milk, lemon or honey if you like."
        ),
    ),
    (
        "How do I make coffee|How do you make coffee",
        (
            "To make coffee, grind the beans and put the powder into a "
            "filter. Pour hot water over it slowly. Add milk or sugar if you like."
        ),
    ),
    (
        (
            "How do I make pancakes|How do you make pancakes|Give me a recipe for pancakes|Recipe"
            " for pancakes"
        ),
        (
            "For pancakes, mix two eggs, a cup of flour, a cup of milk and a little salt. Melt some"
            " butter in a pan and pour in a thin layer. Turn it when it is golden, and eat it with"
            " jam or sugar."
        ),
    ),
    (
        "How do I bake bread|How do you make bread|Recipe for bread",
        (
            "For bread, mix flour, water, yeast and salt. Knead the dough well and let it rest for"
            " some hours. Then bake it in a hot oven until the crust is brown."
        ),
    ),
    (
        "How do I make soup|How do you make soup|Recipe for soup",
        (
            "Cut some vegetables, such as carrots, potatoes and onions. Cook them in water with a"
            " little salt until they are soft. Add some herbs, and the soup is ready."
        ),
    ),
    (
        "How can I sleep better|I cannot sleep|How do I fall asleep|I can't sleep",
        (
            "Go to bed at the same time every day, and put away all screens an hour before. Keep"
            " the room dark and cool. Read a quiet book, or think of something nice, and breathe"
            " slowly."
        ),
    ),
    (
        (
            "How can I learn better|How do I learn for an exam|How do I study well|How can I study"
            " better"
        ),
        (
            "Learn a little every day instead of everything at once. Explain it to somebody in your"
            " own words, and take short breaks. And sleep well before the exam."
        ),
    ),
    (
        "How can I make friends|How do I find new friends|How do I make new friends",
        (
            "Be friendly, smile and ask other people about themselves. Join a club or a course"
            " where people do what you like. Good friends need time, so be patient."
        ),
    ),
    (
        "How can I save money|How do I save money",
        (
            "Write down what you spend, and look for things that you do not need. Put a little"
            " money aside at the start of each month. Cook at home, and compare prices."
        ),
    ),
    (
        "How do I stay healthy|How can I live healthy|How can I stay healthy",
        (
            "Eat many vegetables, drink enough water, move every day and sleep well. Meet friends"
            " and laugh often. And see a doctor when something hurts."
        ),
    ),
    (
        "How do I write a letter|How do I start a letter|How do I write a good letter",
        (
            'Start with a greeting, such as "Dear friend". Then say why you are writing, in short'
            " and clear sentences. At the end, send your kind regards and sign with your name."
        ),
    ),
    (
        "How do I learn to cook|How can I learn to cook",
        (
            "Start with a simple dish, such as soup or pancakes. "
            "Follow the recipe step by step, and taste often. Every meal will teach you something."
        ),
    ),
    (
        "How do I plant a tree|How do I plant a flower|How do I grow tomatoes",
        (
            "Dig a hole, put the young plant into it and fill it with good soil. Give it water, and"
            " put it where it gets enough light. Then be patient and water it often."
        ),
    ),
)

OPPOSITES = """
big small|hot cold|old new|fast slow|up down|left right|day night|black white|good bad|happy sad|
long short|light dark|hard soft|full empty|open closed|loud quiet|rich poor|early late|
easy difficult|strong weak|wet dry|clean dirty|high low|near far|thick thin|wide narrow|
first last|inside outside|start end|win lose|love hate|young old|tall short|heavy light|
brave afraid|true false|always never|more less|summer winter|hello goodbye|sweet sour|warm cool|
sharp blunt|friend enemy|above below|before after|buy sell|give take
""".replace("\n", "").split("|")

COLOUR_OF = """
the sky blue|grass green|snow white|a banana yellow|a lemon yellow|coal black|blood red|
a tomato red|a carrot orange|milk white|chocolate brown|an elephant grey|the sun yellow|
a frog green|a cherry red|a leaf green|a pumpkin orange|a crow black|a flamingo pink|the sea blue|
a strawberry red|gold yellow
""".replace("\n", "").split("|")

SOUNDS = {
    "cat": "meows",
    "dog": "barks",
    "cow": "moos",
    "sheep": "bleats",
    "pig": "oinks",
    "duck": "quacks",
    "lion": "roars",
    "frog": "croaks",
    "owl": "hoots",
    "bee": "buzzes",
    "horse": "neighs",
    "mouse": "squeaks",
    "rooster": "crows",
    "wolf": "howls",
    "snake": "hisses",
    "donkey": "brays",
    "sparrow": "chirps",
}

LEGS = {
    "cat": 4,
    "dog": 4,
    "spider": 8,
    "bee": 6,
    "ant": 6,
    "horse": 4,
    "duck": 2,
    "hen": 2,
    "snake": 0,
    "crab": 10,
    "butterfly": 6,
    "cow": 4,
    "owl": 2,
    "octopus": 8,
    "beetle": 6,
    "frog": 4,
    "penguin": 2,
}

ACTIONS = (
    "repair|build|paint|clean|find|buy|sell|make|draw|use|open|fix|carry|move|wash|choose|test|"
    "hide|photograph"
).split("|")

ACTION_ASKS = (
    "[How do I|How can I|How do you|How does one|Can you tell me how to|Explain how to|What is the"
    " best way to] {action} [a {thing}|my {thing}]"
)

ACTION_ANSWERS = (
    "[I have never tried to {action} a {thing}, but I have some ideas.|To {action} a {thing} takes"
    " a little patience.|That depends on the {thing}, but I will try to help.|I am a small model,"
    " so I can only give you simple advice about the {thing}.] [First look at the {thing} closely"
    " and think about what you need.|Start slowly, and do one step after the other.|Make a simple"
    " plan, and take your time.] [Ask somebody who knows {things} well.|If you are not sure, ask a"
    " friend to help you.|Be careful, so that nobody gets hurt.] [Good luck with it!|I hope that"
    " this helps.|And tell me how it went!|]"
)

WHERE_ASKS = (
    "[How do I get to|Where is|How far is|Can you show me the way to|Which way is|How can I find]"
    " {place}"
)

WHERE_ANSWERS = (
    "[I am sorry, I do not know the way to {place}.|I have no map, so I do not know where {place}"
    " is.|I live inside your machine, so I have never seen {place}.] [Please ask somebody nearby,"
    " or look at a map.|A map or a friendly person in the street can help you.] [I hope that you"
    " will find {place} soon.|Have a good trip!|What do you want to do there?]"
)


def how_to(world: World) -> Chat:
    """How to do something with a thing, or how to get somewhere: simple, careful advice."""
    rng = world.rng
    thing = world.thing()
    if rng.random() < 0.65:
        ask, answer = ACTION_ASKS, ACTION_ANSWERS
    else:
        ask, answer = WHERE_ASKS, WHERE_ANSWERS
    slots = dict(
        action=rng.choice(ACTIONS),
        thing=thing,
        things=plural(thing),
        place=world.place() if rng.random() < 0.6 else world.town(),
    )
    return [
        ("user", roughen(rng, say(rng, ask, **slots) + "?")),
        ("assistant", say(rng, answer, **slots)),
    ]


SIZES = "ant bee mouse frog rabbit cat dog sheep pig lion horse elephant whale".split()
SPEEDS = "snail turtle hen person bicycle horse car train aeroplane rocket".split()


def _compare(world: World) -> tuple[str, str]:
    rng = world.rng
    order, more, less = rng.choice(((SIZES, "bigger", "smaller"), (SPEEDS, "faster", "slower")))
    low, high = sorted(rng.sample(range(len(order)), 2))
    pair = [order[low], order[high]]
    rng.shuffle(pair)
    word, winner, other = rng.choice(
        ((more, order[high], order[low]), (less, order[low], order[high]))
    )
    return (
        (
            f"[What is {word}, a {pair[0]} or a {pair[1]}|Which is {word}, a {pair[0]} or a"
            f" {pair[1]}|Is a {pair[0]} or a {pair[1]} {word}]?"
        ),
        f"A {winner} is {word} than a {other}.",
    )


def _count(world: World) -> tuple[str, str]:
    last = world.rng.randint(3, 12)
    return (
        f"[Count to {last}|Count from 1 to {last}|Can you count to {last}?]",
        ", ".join(str(n) for n in range(1, last)) + f" and {last}.",
    )


def knowledge(world: World) -> Chat:
    """One to three hand-written facts."""
    rng = world.rng
    chat: Chat = []
    for questions, answer in rng.sample(KNOWLEDGE, rng.choice((1, 1, 2, 3))):
        ask = vary(rng, rng.choice(questions.split("|")))
        statement = ask.startswith(("Tell", "Explain", "Please", "Name", "Give", "Recipe", "I "))
        chat.append(("user", roughen(rng, ask + ("." if statement else "?"))))
        chat.append(("assistant", say(rng, answer)))
    return chat


def _opposite(world: World) -> tuple[str, str]:
    first, second = world.rng.choice(OPPOSITES).split()
    return (
        (
            "[What is the opposite of|Tell me the opposite of|What's the opposite of|Opposite of]"
            f" {first}?"
        ),
        f"The opposite of {first} is {second}.",
    )


def _colour(world: World) -> tuple[str, str]:
    thing, colour = world.rng.choice(COLOUR_OF).rsplit(" ", 1)
    return (
        f"[What colour is|What is the colour of|Which colour has] {thing}?",
        (
            f"[{capital(thing)} is {colour}|The colour of {thing} is {colour}]. [|I like the colour"
            f" {colour}.]"
        ),
    )


def _sound(world: World) -> tuple[str, str]:
    animal, sound = world.rng.choice(tuple(SOUNDS.items()))
    return (
        f"[What sound does a {animal} make|What does a {animal} say|How does a {animal} sound]?",
        f"A {animal} {sound}. [|Can you do it too?|I like that sound.]",
    )


def _legs(world: World) -> tuple[str, str]:
    animal, legs = world.rng.choice(tuple(LEGS.items()))
    count = "no" if legs == 0 else words.NUMBERS[legs]
    return (f"How many legs does a {animal} have?", f"A {animal} has {count} legs.")


def _plural(world: World) -> tuple[str, str]:
    noun = world.thing() if world.rng.random() < 0.6 else world.pick(words.ANIMALS)
    return (
        f"[What is the plural of|Tell me the plural of|Plural of] {noun}?",
        f"The plural of {noun} is {plural(noun)}. [|One {noun}, two {plural(noun)}.]",
    )


def _sequence(world: World) -> tuple[str, str]:
    rng = world.rng
    names, kind = (words.DAYS, "day") if rng.random() < 0.5 else (words.MONTHS, "month")
    i = rng.randrange(len(names))
    after, before = names[(i + 1) % len(names)], names[i - 1]
    if rng.random() < 0.6:
        return (
            f"[What {kind} comes after|Which {kind} comes after|What comes after] {names[i]}?",
            f"[{after} comes after {names[i]}|The {kind} after {names[i]} is {after}].",
        )
    return (
        f"[What {kind} comes before|Which {kind} comes before|What comes before] {names[i]}?",
        f"[{before} comes before {names[i]}|The {kind} before {names[i]} is {before}].",
    )


def quiz(world: World) -> Chat:
    """One to four little questions with short answers."""
    rng = world.rng
    makers = (
        _opposite,
        _colour,
        _sound,
        _legs,
        _plural,
        _sequence,
        _compare,
        _count,
    )
    chat: Chat = []
    for _ in range(rng.choice((1, 2, 3, 4))):
        ask, answer = rng.choice(makers)(world)
        chat.append(("user", roughen(rng, say(rng, ask))))
        chat.append(("assistant", say(rng, answer)))
    return chat
