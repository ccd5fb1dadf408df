"""Word lists, written by hand."""

SHE_NAMES = """
Ada Agnes Aisha Alice Alma Amara Amelia Amina Amy Ana Andrea Angela Anika Anna Astrid Aurora Ava
Beatrice Bella Bianca Bridget Camille Carla Carmen Carol Caroline Cecilia Chiara Chloe Clara
Claire Cora Daisy Dana Daphne Diana Dora Edith Elena Eliza Ella Ellen Eloise Elsa Emily Emma Erika
Esther Eva Eve Fatima Fiona Flora Frances Freya Frida Gabriela Gemma Gina Giulia Gloria Grace
Greta Hana Hannah Harriet Hazel Heidi Helen Ida Imani Ines Ingrid Iris Isabel Ivy Jane Jasmine
Jenny Jessica Joan Josie Joy Judith Julia June Kaori Karen Kate Katya Kira Laila Lara Laura Layla
Leila Lena Leona Lily Lina Linda Lisa Lola Louise Lucia Lucy Luna Lydia Mabel Maja Malia Mara
Margaret Maria Marie Martha Mary Matilda Maya Mei Melissa Mia Michelle Mina Mira Miriam Molly Mona
Monica Nadia Naomi Natalie Nicole Nina Noor Nora Odette Olga Olive Olivia Paula Pearl Penny Petra
Philippa Polly Priya Rachel Ramona Rita Robin Rosa Rose Ruby Ruth Sadie Sakura Sally Samira Sandra
Sara Selma Sienna Silvia Sofia Sonia Stella Susan Suzie Sylvia Tamara Tara Tessa Thea Tilda Tina
Uma Ursula Valerie Vera Victoria Viola Wanda Wendy Willa Yara Yasmin Yuki Yvonne Zara Zelda Zoe
""".split()

HE_NAMES = """
Aaron Abdul Adam Ahmed Alan Albert Alex Ali Amir Anders Andrew Anton Arjun Arthur Axel Ben
Benjamin Bernard Boris Brian Bruno Carl Carlos Caspar Charles Chen Chris Christian Colin Conrad
Daniel Dario David Dennis Diego Dimitri Dmitri Dominic Edgar Edward Eli Elias Emil Enzo Eric Erik
Ernest Ethan Ezra Felix Fergus Filip Finn Francis Frank Fred Gabriel George Gerald Giovanni Gregor
Gustav Hamid Hans Harold Harry Hassan Hector Henrik Henry Hiro Hugo Ian Ibrahim Igor Isaac Ivan
Jack Jacob Jamal James Jan Jasper Javier Jens Jerome Jim Joe Joel Johan John Jonas Jorge Jose
Joseph Josh Juan Jules Julian Kai Karim Karl Keith Kenji Kevin Klaus Kofi Kurt Kwame Lars Laszlo
Leo Leon Lewis Liam Linus Louis Luca Lucas Luigi Luis Luke Magnus Malik Manuel Marco Marcus Mario
Mark Martin Mateo Matthew Max Michael Miguel Mikhail Milo Mohammed Morris Nathan Neil Nico Nils
Noah Oleg Oliver Omar Oscar Otto Owen Pablo Patrick Paul Pavel Pedro Percy Peter Philip Pierre
Quentin Quincy Rafael Raj Ralph Ramon Raphael Ravi Ray Rene Richard Robert Roger Roland Roman Rory
Rupert Sam Samir Samuel Scott Sebastian Sergio Simon Stanley Stefan Steve Sven Tariq Ted Theo
Thomas Tim Tobias Tom Tony Umberto Uri Victor Viktor Vincent Walter Wei Wilbur Will William Xavier
Yann Yusuf Zack
""".split()

# Longer and rarer names, for practice in copying.
SHE_NAMES += """
Adaeze Akiko Alexandra Anastasia Antonia Arabella Augusta Bernadette Bronwyn Catriona Charlotte
Chiamaka Christina Clementine Constance Cordelia Dorothea Eirlys Eleanor Elisabeth Esmeralda
Evangeline Feodora Florence Francesca Genevieve Georgina Ginevra Guinevere Gwendolyn Haruka
Henrietta Hildegard Ingeborg Isabella Jacqueline Jiayi Josephine Katharina Keiko Leopoldine Lucinda
Ludmila Magdalena Marguerite Mercedes Millicent Nomvula Octavia Oksana Ophelia Parvati Penelope
Persephone Rosalind Roswitha Saoirse Scheherazade Seraphina Thandiwe Theodora Ulyana Valentina
Veronica Violetta Wangari Winifred Xiomara Yolanda Ysolde Zuleika
""".split()

HE_NAMES += """
Alexander Algernon Aloysius Archibald Augustus Balthasar Barnaby Benedict Chidi Christopher
Cornelius Cuthbert Dagobert Demetrius Ebenezer Emmanuel Engelbert Ferdinand Fitzgerald Florian
Gideon Gottfried Hieronymus Hiroshi Humphrey Ignatius Isidor Jabari Jeremiah Jonathan Kazimir
Leonardo Leopold Lorenzo Lysander Maximilian Montgomery Mortimer Nathaniel Nicholas Nikolai Obadiah
Octavian Phineas Quirin Rajesh Reginald Salvatore Takeshi Thaddeus Theodore Theophilus Tiberius
Ulrich Valentin Venkatesh Vladimir Wendelin Wolfgang Xerxes Yaroslav Zachary Zebulon Zhiwei Zoltan
""".split()

PET_NAMES = """
Biscuit Bubbles Buttons Cinnamon Crumble Fluffy Ginger Marble Mittens Muffin Nibbles Noodle Nutmeg
Patches Peanut Pebbles Pepper Pickles Pudding Pumpkin Snowball Socks Sprinkle Tinker Toffee Truffle
Waffles Whiskers
""".split()

TOWNS = """
Aberdeen Accra Amsterdam Athens Auckland Barcelona Basel Beijing Bergen Berlin Bern Bologna
Bordeaux Boston Bremen Bristol Brussels Cairo Cardiff Chicago Copenhagen Cork Dakar Denver Dresden
Dublin Edinburgh Florence Geneva Genoa Ghent Glasgow Graz Hamburg Hanoi Helsinki Istanbul Kyoto
Lagos Leeds Leipzig Lima Lisbon Liverpool London Lyon Madrid Malmo Manchester Manila Marseille
Melbourne Milan Montreal Munich Nairobi Naples Nice Osaka Oslo Oxford Paris Perth Porto Prague
Quebec Riga Rome Rotterdam Salzburg Santiago Seattle Seoul Seville Sofia Stockholm Sydney Tallinn
Tokyo Toronto Toulouse Turin Utrecht Valencia Vancouver Venice Vienna Warsaw Wellington York
Zagreb Zurich
""".split()

ANIMALS = """
cat dog fox hare rabbit mouse rat squirrel hedgehog badger bear wolf deer goat sheep lamb cow
horse pony donkey pig duck goose hen rooster owl crow raven sparrow robin swan heron penguin
parrot eagle falcon pigeon frog toad turtle tortoise lizard snake crocodile whale dolphin seal
otter beaver crab octopus lobster snail bee ant beetle spider butterfly moth ladybird cricket lion
tiger leopard elephant giraffe zebra monkey gorilla camel kangaroo koala panda hippo rhino mole
bat llama moose puppy kitten duckling fish shark salmon goldfish hamster ostrich flamingo peacock
weasel worm
aardvark alligator alpaca anteater armadillo axolotl bison buffalo caterpillar chameleon chinchilla
chipmunk cockatoo coyote dragonfly eel ferret firefly gecko gibbon grasshopper hummingbird hyena
iguana jellyfish lemur lynx magpie meerkat mongoose narwhal ocelot okapi orangutan pelican piglet
platypus porcupine puffin quail raccoon reindeer salamander scorpion seahorse shrimp skunk sloth
starfish stingray stork termite toucan turkey walrus wombat woodpecker yak
""".split()

BEINGS = """
dragon robot giant ghost wizard witch fairy elf dwarf troll unicorn phoenix mermaid knight princess
prince king queen pirate goblin snowman scarecrow griffin cloud monster teddy vampire genie android
alien superhero yeti
""".split()

JOBS = """
baker farmer painter sailor gardener teacher doctor carpenter tailor clockmaker shepherd fisherman
librarian musician singer dancer cook postman pilot astronaut inventor scientist blacksmith miller
beekeeper detective juggler magician nurse poet writer student engineer programmer drummer potter
weaver shopkeeper hunter driver firefighter explorer plumber electrician architect dentist florist
jeweller locksmith mechanic violinist acrobat clown waiter journalist judge archer boy girl child grandmother grandfather
""".split()

TRADES = (
    "maker seller keeper collector painter driver builder captain doctor repairer hunter".split()
)

CREATURE_ADJECTIVES = """
little young old small tiny big shy brave curious sleepy clever lonely cheerful grumpy kind gentle
lazy hungry friendly nervous quiet proud patient clumsy stubborn polite golden blue green red purple
silver white black grey forgetful wise
""".split()

THINGS = """
teapot kettle cup mug spoon fork bowl plate pan pot jar bottle basket bucket broom brush comb
mirror candle lamp lantern torch clock watch bell drum flute violin guitar piano trumpet harp
whistle book notebook letter map postcard pencil pen paintbrush ruler key lock door window chair
table bed pillow blanket carpet curtain sofa stove umbrella hat scarf glove boot shoe sock coat
jacket button ribbon needle thread ring necklace crown coin purse bag suitcase box chest drawer
ladder hammer nail saw rope shovel rake wheel cart wagon bicycle boat ship canoe sail anchor oar
train car bus tractor rocket balloon kite ball doll puppet toy puzzle top marble dice card
telescope compass magnet microscope camera radio telephone computer laptop printer battery cable
screen apple pear plum cherry lemon orange peach banana strawberry pumpkin carrot potato onion
cabbage tomato mushroom egg loaf cake pie cookie pancake sandwich cheese honey soup tree flower
rose tulip sunflower seed leaf acorn feather shell stone pebble crystal pearl diamond star moon
snowflake raindrop bridge tower fence gate well fountain statue bench nest egg hive web tent raft
sled skateboard scooter helmet backpack wallet envelope stamp calendar sandcastle snowball fridge
toaster teacup saucepan pocket mailbox wheelbarrow hourglass windmill anvil
abacus accordion airship apricot artichoke aubergine avocado banjo bassoon blueberry bookmark
bookshelf boomerang bracelet briefcase brooch bulldozer cactus calculator caravan cardigan carousel
cauliflower cello chandelier chessboard chestnut chimney clarinet coconut comet corkscrew croissant
cucumber cupcake cymbal daffodil dandelion diary dictionary dishwasher dollhouse doorknob doughnut
drawbridge dumpling earring elevator escalator excavator ferry firework flashlight frisbee geyser
glider gondola gong gramophone greenhouse hammock handkerchief harmonica hazelnut hedge helicopter
hologram iceberg icicle igloo jigsaw joystick kaleidoscope keyboard ladle lampshade lawnmower
lightbulb locomotive lollipop loudspeaker magazine mandolin mango marionette meatball meteor
metronome microphone mitten monocle muffin napkin necktie newspaper obelisk omelette orchid papaya
parachute parasol passport periscope pineapple pinecone planet pomegranate pretzel puddle pyramid
rainbow raincoat raspberry refrigerator sandal satellite saxophone screwdriver seesaw slipper
spaceship sparkler spatula stethoscope submarine sundial surfboard swing tablecloth tambourine
thermometer ticket trampoline treehouse tricycle trombone tuba tugboat typewriter ukulele unicycle
volcano waffle waistcoat walnut waterfall watermelon wrench xylophone zeppelin
""".split()

THING_ADJECTIVES = """
old new tiny huge broken rusty shiny golden silver magic wooden red blue green yellow purple orange
white black pink striped strange lost forgotten heavy dusty beautiful secret singing talking flying
invisible round crooked favourite plain warm cold glowing painted noisy silent soft precious lucky
""".split()

# Nobody loses these in a bush or carries them home.
BIG_THINGS = """
windmill tower bridge fence gate well fountain statue tent wagon boat ship canoe train car bus
tractor rocket stove sofa bed table fridge piano tree planet volcano waterfall moon star iceberg
igloo obelisk pyramid greenhouse treehouse locomotive bulldozer excavator ferry airship submarine
zeppelin gondola helicopter hedge chimney drawbridge elevator escalator carousel trampoline caravan
satellite spaceship window door puddle rainbow geyser comet meteor tugboat raft bench anvil curtain
carpet refrigerator dishwasher lawnmower raindrop snowflake cart sandcastle mailbox
""".split()

MATERIALS = "glass paper iron copper stone wool silk clay tin brass leather moon sun winter".split()

PLACES = """
forest river lake mountain hill valley village town city castle harbour island beach meadow garden
farm mill library school market bakery workshop cave desert swamp orchard lighthouse bridge station
museum kitchen attic cellar park field cottage tower palace jungle sea kingdom street barn zoo
playground theatre bookshop hospital train
""".split()

ENTERABLE = """
forest valley village town city castle garden library school market workshop cave desert swamp
orchard museum kitchen attic cellar park cottage tower palace jungle kingdom barn zoo theatre
bookshop hospital bakery mill farm meadow
""".split()

PLACE_ADJECTIVES = """
old quiet dark green sunny misty little big busy empty snowy windy hidden abandoned golden lonely
ancient sleepy noisy colourful
""".split()

COLOURS = "red blue green yellow white black orange purple pink brown grey silver golden".split()

PETS = "cat dog rabbit parrot hamster goldfish turtle pony canary snake mouse ferret".split()

FOODS = """
pancakes soup pizza rice pasta bread cheese apples cherries noodles curry salad porridge dumplings
pie cake strawberries honey plums pears chocolate olives beans potatoes carrots tomatoes mushrooms
""".split()

DRINKS = "tea coffee milk lemonade water juice cocoa cider".split()

INSTRUMENTS = "violin guitar piano trumpet flute drums harp cello accordion clarinet".split()

DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()

MONTHS = """
January February March April May June July August September October November December
""".split()

NUMBERS = """
zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen
sixteen seventeen eighteen nineteen twenty
""".split()

TOPICS = """
chess|football|tennis|history|mathematics|geometry|algebra|poetry|philosophy|economics|politics|
astronomy|chemistry|biology|physics|geology|medicine|law|music|jazz|opera|painting|sculpture|
photography|architecture|gardening|cooking|baking|sewing|knitting|fishing|sailing|hiking|skiing|
swimming|cycling|running|yoga|dancing|magic|robots|rockets|satellites|black holes|galaxies|comets|
volcanoes|earthquakes|glaciers|deserts|rainforests|oceans|coral reefs|dinosaurs|fossils|mammoths|
insects|fungi|bacteria|viruses|genetics|evolution|atoms|electrons|quantum mechanics|relativity|
thermodynamics|electricity|magnetism|lasers|semiconductors|transistors|compilers|databases|
operating systems|cryptography|networks|the internet|programming|Python|Java|Rust|Linux|
algorithms|neural networks|machine learning|graphics cards|video games|board games|movies|novels|
newspapers|television|podcasts|money|banks|taxes|trade|shipping|railways|aeroplanes|bicycles|cars|
bridges|skyscrapers|castles|pyramids|knights|samurai|Vikings|Romans|ancient Egypt|ancient Greece|
the Middle Ages|the Renaissance|the French Revolution|Shakespeare|Mozart|Beethoven|Einstein|
Newton|Darwin|Napoleon|Cleopatra|France|Germany|Italy|Spain|Japan|China|India|Brazil|Canada|
Australia|Kenya|Egypt|Norway|Switzerland|Mexico|grammar|spelling|Latin|languages|translation|
logic|psychology|sleep|dreams|memory|happiness|love|anger|fear|time travel|the stock market|
climate change|solar panels|wind turbines|nuclear power|recycling|farming|beekeeping|wine|beer|
tea|coffee|chocolate|cheese|bread|tax law|string theory|sea cucumbers|jet engines|blockchain|
bitcoin|origami|calligraphy|stamp collecting|bird watching|fly fishing|karate|judo|surfing|
snowboarding|pottery|embroidery|ballet|hip hop|heavy metal|the blues|folk music|violin making|
the Black Death|the Cold War|the Silk Road|the Industrial Revolution|Julius Caesar|Marie Curie|
Leonardo da Vinci|Socrates|Picasso|Gandhi|Greek mythology|Norse mythology|sourdough|sushi|tofu|
vitamins|vaccines|allergies|headaches|the immune system|the liver|kidneys|teeth|DNA|proteins|
enzymes|plastic|steel|concrete|glass making|tides|hurricanes|tornadoes|fog|hail|the ozone layer|
asteroids|Saturn|Neptune|the Milky Way|dark matter|the big bang|submarines|drones|self-driving cars|
3D printers|touch screens|fibre optics|airports|elevators|canals|dams|tunnels|marathon running|
rugby|cricket|baseball|golf|badminton|poker|sudoku|crosswords|escape rooms
""".replace("\n", "").split("|")

TOPIC_ADJECTIVES = "modern ancient advanced simple early medieval theoretical practical".split()

VERBS = """
swim dance sing paint draw cook bake sew knit juggle ski skate climb run write read type garden fish
sail ride drive fly whistle speak listen count meditate photograph
""".split()

FEELINGS = (
    "happy sad worried proud lonely tired excited curious afraid calm grateful surprised".split()
)
