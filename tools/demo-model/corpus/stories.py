"""Short stories about a hero, a thing, a place and a friend, any of which the user may name."""

from __future__ import annotations

import re

from . import words
from .core import Chat, World, join, plural, roughen, say

OPENINGS = (
    (
        "[Once upon a time|Long ago|Many years ago|Once], there was a {kind}"
        " [called|named] {name}, who lived [{in_place}|near {place}|not far from {place}]."
    ),
    (
        "[{In_place}|Near {place}|Not far from {place}] [there lived|lived] a {kind} [called|named]"
        " {name}."
    ),
    "{name} was a {kind} who lived [{in_place}|near {place}|close to {place}].",
    (
        "There was once a {kind} whose name was {name}. {name} lived [{in_place}|near {place}|close"
        " to {place}]."
    ),
    "This is the story of {name}, a {kind} from {place}.",
    "A {kind} [called|named] {name} lived all alone {in_place}.",
)

TRAITS = (
    (
        "{name} was [kind|clever|brave|gentle|cheerful|patient|curious], but [a little shy|often"
        " lonely|very forgetful|never in a hurry|always hungry|a bit clumsy|sometimes afraid of the"
        " dark]."
    ),
    (
        "{name} [liked|loved] [long walks|warm soup|old songs|quiet mornings|good stories|rainy"
        " days|the smell of fresh bread|looking at the stars|making new friends] more than anything"
        " else."
    ),
    (
        "Everybody [knew|liked] {name}, because {he} [was always kind|never told a lie|had a good"
        " word for everyone|laughed so easily|helped whoever needed help]."
    ),
    (
        "{name} had one [great|secret|big] wish: to [see the sea|learn to dance|find a true"
        " friend|travel around the world|fly like a bird|write a book|own a {thing}]."
    ),
    (
        "{name} was not [rich|famous|very strong|very tall], but {he} had [a good heart|sharp"
        " eyes|a clever mind|a lot of patience|the best laugh in the land]."
    ),
    "",
)

ENDINGS = (
    "From that day on, {name} and {friend} were the best of friends.",
    (
        "And [if you pass by {place}|if you listen closely at night], you can [still hear them"
        " laughing|hear them tell the story|see the two of them together]."
    ),
    "{name} [slept very well|smiled happily|went to bed happy|had sweet dreams] that night.",
    "And {name} never forgot [what {friend} had said|that day|the kindness of {friend}].",
    (
        "{name} learned that [a friend is worth more than gold|it is brave to ask for help|kindness"
        " always comes back|small steps lead a long way|nobody has to do everything alone|the best"
        " things are shared|it is never too late to try again]."
    ),
    (
        "The {thing} [still stands|has a place of honour|is still kept] {in_place}, and everybody"
        " who sees it thinks of {name}."
    ),
    "They [all lived|lived] happily ever after.",
    "And that is how {name} and {friend} [became friends|found each other].",
    (
        '"[Tomorrow|Next time]," said {friend}, "we will [do it again|go even further|bring a'
        ' cake]." And so they did.'
    ),
)

PLOTS = {
    "lost": (
        (
            "[One morning|One day|One rainy afternoon], {name} [noticed|saw|found out] that the"
            " {thing} was [gone|missing]. {He} looked [under the bed|behind the door|in every"
            " corner|everywhere], but it was [nowhere to be found|not there]."
        ),
        (
            '"[Where can it be|Who has seen my {thing}|What shall I do now]?" {name}'
            ' [cried|asked|said]. "I [need|love|miss] it so much!"'
        ),
        (
            '[Just then|Soon|After a while], a {fkind} [called|named] {friend} came by. "[I will'
            ' help you|Do not worry|Let us look together]," said {friend}. "[Two can see more than'
            ' one|We will find it|Four eyes are better than two]."'
        ),
        (
            "They [searched|looked] [all day long|until the sun went down|from one end of {place}"
            " to the other]. [At last|Finally], {friend} [found|saw] the {thing} [under a"
            " bush|behind an old wall|at the top of a tree|beside a small stream|in a pile of"
            " leaves]."
        ),
        (
            '"[Thank you|You found it|I am so glad]!" [said|cried|called] {name}, and {he} [hugged'
            " {friend}|danced with joy|laughed out loud]."
        ),
    ),
    "found": (
        (
            "[One day|One evening|One cold morning], {name} found a {thing} [{in_place}|lying on"
            " the path|half buried in the sand|under a tree]. It was [the strangest|the most"
            " beautiful|the oddest] {thing} {he} had ever seen."
        ),
        (
            "[When {he} touched it|As soon as {he} picked it up|When {he} came closer], it [began"
            " to glow|began to hum softly|started to speak|shook a little]. {name} was [surprised|a"
            " little afraid|amazed], but {he} did not run away."
        ),
        (
            "{He} [took|carried|brought] the {thing} to {friend}, a [wise|clever|kind|friendly]"
            ' {fkind}. "[What is it|Do you know what this is|Whose is it]?" asked {name}.'
        ),
        (
            '"This {thing} [belongs to someone who misses it|has been lost for a hundred'
            ' years|brings luck to whoever gives it away|can grant one single wish]," said'
            ' {friend}. "[Be careful with it|Think well before you use it|Listen to your heart]."'
        ),
        (
            "{name} thought about it [for a long time|all night]. [In the end|At last], {he} [gave"
            " it back to its owner|wished for all to be happy|gave it to {friend} as a gift|put it"
            " where everyone could enjoy it]."
        ),
    ),
    "broken": (
        (
            "{name} had a {thing} that {he} [loved very much|used every day|was very proud of]. But"
            " [one day|one evening|one windy night] it [fell to the ground and broke|stopped"
            " working|broke in two]."
        ),
        (
            '{name} was very [sad|unhappy]. "[It can never be mended!|Nobody can help me!|What will'
            ' I do without it?]" {he} [sighed|whispered|said].'
        ),
        (
            'A {fkind} called {friend} heard {him}. "Let me [see|have a look|try]," said {friend}.'
            ' "I [have mended many things|know a little about such things|cannot promise anything,'
            ' but I can try]."'
        ),
        (
            "{friend} and {name} worked [all night|for three days|until the lamp went out]. They"
            " [used a bit of string and a lot of patience|tried one thing after another|did not"
            " give up]."
        ),
        (
            "[In the morning|At last|When they were done], the {thing} was [as good as new|even"
            ' better than before|whole again]. "[You see|There you are]," said {friend},'
            ' "[everything can be mended with time|two heads are better than one|patience is the'
            ' best tool]."'
        ),
    ),
    "learn": (
        (
            "{name} wanted to learn how to [make|use|draw|build] a {thing}. [Everyone|All the"
            ' neighbours] [laughed|shook their heads]. "A {kind} cannot do that!" they said.'
        ),
        (
            "But {name} did not [give up|listen]. [Every day|Every morning|Each evening], {he}"
            " [practised|tried again|worked hard], and every day it [went wrong|was a little"
            " better]."
        ),
        (
            '[Then|One day], {he} met {friend}, an old {fkind}. "[I failed a hundred times before I'
            ' could do it|The secret is to begin again each day|You are closer than you think],"'
            ' said {friend}. "[Come, I will show you|Watch my hands|Let us try together]."'
        ),
        (
            "[Step by step|Little by little|Slowly], {name} [got better|learned]. [After many"
            " weeks|By the spring|When the first snow fell], {name} showed the {thing} to [everyone"
            " {in_place}|the whole town]."
        ),
        (
            '[The crowd cheered|Nobody laughed now|Everyone clapped]. "[How did you do it|Can you'
            ' teach us too]?" they asked. {name} [smiled|looked at {friend}]. "[One step at a'
            ' time|With a good teacher|I just did not stop]," {he} said.'
        ),
    ),
    "storm": (
        (
            "[One night|One autumn day|One winter evening] a [great|terrible|wild] storm came to"
            " {place}. The wind [howled|roared], and [the rain fell in sheets|the lights went"
            " out|the trees bent low]."
        ),
        (
            "{name} [heard a small voice|heard a knock at the door|saw a light] outside. It was"
            ' {friend}, a {fkind}, [wet and cold|lost and tired|shaking with cold]. "[May I come'
            ' in|Could you help me|Can I stay until it is over]?" asked {friend}.'
        ),
        (
            '"Of course," said {name}. {He} [made hot tea|lit the fire|brought a warm blanket], and'
            " they sat down [by the window|close together|next to the {thing}]."
        ),
        (
            'But the storm grew [stronger|louder]. "The {thing}!" cried {friend}. "We [can use'
            ' it|need it] to [hold the door shut|give light to the others|call for help]!"'
            " [Together|Quickly], they [pulled it to the door|carried it up to the roof|set it in"
            " the window]."
        ),
        (
            "[In the morning|At dawn], the [sun was shining|sky was clear], and [nobody was"
            ' hurt|everyone was safe]. "[You opened your door to me|You were not alone last'
            ' night]," said {friend}, "[and I will never forget it|and neither was I]."'
        ),
    ),
    "talking": (
        (
            "[One day|One quiet evening|One bright morning], {name} heard a [soft|tiny|strange]"
            ' voice. It came from the {thing}! "[Do not be afraid|Please listen|Hello, {name}]," it'
            ' said. "I have been [silent|waiting] for [a hundred years|so long]."'
        ),
        (
            '{name} [could not believe it|stared in wonder|jumped up]. "A {thing} that can talk!"'
            ' {he} [said|cried]. "What do you [want|need]?"'
        ),
        (
            '"I want to [see the sea|go home|meet my old friend {friend}|feel the sun again]," said'
            ' the {thing}. "Will you [take|carry|bring] me?"'
        ),
        (
            "So {name} [packed some bread|put on warm shoes|took the {thing} along], and they [set"
            " out|left] together. On the way they met {friend}, a {fkind} who [knew the road|had a"
            " boat|had a map|knew all the songs of the land]."
        ),
        (
            "[After three days|After a long journey|When the sun rose], they [arrived|were there]."
            ' "[Thank you|I am so happy]," said the {thing} [softly|quietly]. "[You listened, and'
            ' that is the greatest gift|Nobody was ever so kind to me]."'
        ),
    ),
    "contest": (
        (
            "[Every year|Each summer|Once a year] there was a great contest {in_place}. [The"
            " prize|The first prize] was a {thing}, and {name} [wanted it more than"
            " anything|dreamed of it every night]."
        ),
        (
            'But {friend}, a [quick|proud|strong|clever] {fkind}, wanted to win it too. "[You have'
            ' no chance|I am faster than you|I never lose]," said {friend} and laughed.'
        ),
        (
            "The contest began. {friend} was [soon far ahead|quick as the wind], but then [slipped"
            " and fell into a ditch|got stuck in the mud|took the wrong path]."
        ),
        (
            '{name} could have [run past|won easily]. But {he} stopped. "[Take my hand|I will not'
            ' leave you here|Let me help you]," {he} said, and [pulled {friend} out|helped {friend}'
            " up]."
        ),
        (
            "They [crossed the line together|came in last, side by side]. The mayor"
            ' [smiled|nodded]. "The {thing} goes to both of you," said the mayor.'
            ' "[You have shown what really matters|Kindness is the hardest race of all]."'
        ),
    ),
    "gift": (
        (
            "It was almost the birthday of {friend}, a {fkind} and the [best|oldest] friend of"
            ' {name}. "[What shall I give|What can I make]?" {name} [wondered|asked].'
            " {He} had [no money at all|only one coin]."
        ),
        (
            '{He} went to the market {in_place} and saw a [wonderful|lovely] {thing}. "[How much is'
            ' it|What does it cost]?" {he} asked. "[More than you have|A hundred coins]," said the'
            " [merchant|old woman at the stall]."
        ),
        (
            "So {name} [worked|helped at the market] [for a week|from morning to night]. {He}"
            " [carried heavy bags|swept the floor|told stories to the children], and at the end the"
            " [merchant|old woman] [gave|handed] {him} the {thing}."
        ),
        (
            "On the birthday, {friend} [opened the box|looked at the gift] and [went very"
            ' quiet|began to smile|had tears in the eyes]. "A {thing}! [You did all this for me|How'
            ' did you know]?"'
        ),
        (
            '"[You are worth it|It was nothing|I know you well]," said {name}. They [ate cake|sang'
            " songs|talked] until [late at night|the stars came out]."
        ),
    ),
    "journey": (
        (
            "One [spring|summer|bright] morning, {name} decided to [go on a journey|see the"
            " world|travel far away]. {He} [took|packed] only [a piece of bread and|some water and]"
            " the {thing}."
        ),
        (
            "The road was [long|steep and stony], and {name} soon [felt tired|lost the way]. By"
            " [an old bridge|a crossroads|a small fire], {he} met a {fkind} called {friend}."
        ),
        (
            '"Where are you going?" asked {friend}. "[I do not know yet|To the end of the'
            ' road|Wherever the wind blows]," said {name}. "[Then let us go together|Then I will'
            ' come with you]," said {friend}.'
        ),
        (
            "They [crossed rivers and hills|walked for many days|saw great cities and deep"
            " forests]. Once the {thing} even saved them: they used it to [scare away a wolf|cross"
            " a wild river|find the way in the fog]."
        ),
        (
            '[After a year|When autumn came|In the end], {name} [came home|returned]. "[What did'
            ' you find|What was the best of all]?" asked the neighbours. "[A friend|The way'
            ' home|More than I can tell]," {he} said.'
        ),
    ),
    "fear": (
        (
            "{name} was afraid of [the dark|thunder|deep water|{place} at night]. [Nobody knew"
            " about it|{He} never told anyone|It made {him} feel very small]."
        ),
        (
            "One [night|evening], {friend}, a little {fkind}, [got lost|did not come home]."
            ' "Someone has to [go and look|find {friend}]!" [said the neighbours|everyone said].'
            " But [nobody moved|all were afraid]."
        ),
        (
            "{name} [took a deep breath|hesitated for a moment]. Then {he} took the {thing} and"
            ' [went out|walked into the night]. "[If I am afraid, I can still walk|One step, and'
            ' then another|I can be afraid and go anyway]," {he} [thought|whispered].'
        ),
        (
            "[At last|After an hour], {he} heard [crying|a small voice] [behind a rock|under an old"
            ' tree|near the water]. It was {friend}! "[You came|I knew someone would come]," said'
            " {friend}. Together they held the {thing} and [went home|found the way back]."
        ),
        (
            '"Were you not afraid?" asked {friend}. "[Yes, very much|Of course I was]," said'
            ' {name}. "[But you were more important|That is what being brave means]."'
        ),
    ),
    "share": (
        (
            "{name} had the only {thing} {in_place}. {He} [kept it locked away|never let anyone"
            " touch it|looked at it every night], and {he} was [very proud of it|afraid that"
            " someone might take it]."
        ),
        (
            'One day {friend}, a poor {fkind}, came to the door. "[Please, may I borrow your'
            ' {thing}|Could I see your {thing}, just once]?" asked {friend}. "No!" said {name}. "It'
            ' is mine."'
        ),
        (
            "{friend} went away [without a word|sadly]. But {name} [could not sleep|felt strange]"
            " that night. The {thing} did not look [beautiful|shiny] any more, and the house was"
            " [so quiet|very empty]."
        ),
        (
            '[The next morning|At sunrise], {he} ran to {friend}. "[I am sorry|I was wrong]," said'
            ' {name}. "[Let us use it together|It is no fun alone|Take it for as long as you'
            ' like]."'
        ),
        (
            "[Soon|Before long] [the whole village|everyone] came to see the {thing}, and there was"
            ' [music and laughter|a big feast]. "[A thing that is shared becomes twice as big|Now'
            ' it is really mine]," said {name} and laughed.'
        ),
    ),
    "mystery": (
        (
            "[Strange things happened|Something strange was going on] {in_place}. Every night, [a"
            " light moved behind the windows|someone played a song|something went missing], and"
            " nobody knew why."
        ),
        (
            "{name} decided to [find out|solve the mystery]. {He} asked {friend}, a"
            " [clever|brave|careful] {fkind}, to come along, and they hid [behind a wall|in a big"
            " box|under the stairs]."
        ),
        (
            'At midnight they heard [steps|a soft sound|a creak]. "[Do you hear that?|Look over'
            ' there!]" whispered {friend}. In the moonlight stood a {thing}, and it [moved all by'
            " itself|was shining brightly|slowly turned around]."
        ),
        (
            "{name} [stepped forward|was not afraid]. Behind the {thing} sat a tiny"
            ' [mouse|bird|owl]. "[Please do not be angry|I am sorry]," it said. "I [was only'
            ' lonely|have no home|wanted to make something beautiful]."'
        ),
        (
            '"[You can stay with us|You should have asked|Nobody is angry]," said {name}. {friend}'
            " [nodded|smiled and brought some bread]. [The mystery was solved|And so the mystery"
            " was solved], and {place} had one more happy voice."
        ),
    ),
    "invention": (
        (
            "{name} loved to build things. One day {he} had a wonderful idea: a {thing} that could"
            " [cook breakfast|sing in the morning|find lost socks|make people laugh|tell the"
            " weather]."
        ),
        (
            "{He} worked [day and night|for a month] with [a hammer and some string|old wheels and"
            " springs|wood and wire]. {friend}, the {fkind} next door, [brought soup|held the"
            " lamp|asked many questions]."
        ),
        (
            "When it was ready, {name} pressed the button. There was a [loud bang|puff of smoke],"
            ' and the {thing} [flew out of the window|ran around the room|began to spin]! "[Stop'
            ' it|Catch it]!" cried {friend}.'
        ),
        (
            "They ran after it, all the way to {place}. [At last it fell into a haystack|In the end"
            " it landed in a pond|Finally it stopped in front of the mayor]. {name} and {friend}"
            " looked at each other and [began to laugh|laughed until they cried]."
        ),
        (
            '"[It does not work yet|It needs one more screw]," said {name}, "[but it was the best'
            ' day of the year|but tomorrow I will try again]."'
        ),
    ),
}

# These suit a thing that is too large to carry.
BIG_PLOTS = ("broken", "share", "mystery", "invention")
BIG_BRIEF = (3, 6)

# What the user says about a hero and the thing, where it tells the plot.
WANTS = {
    "lost": (" who loses a ", " who is looking for a ", " who has lost a ", " and a lost "),
    "found": (" who finds a ", " who discovers a ", " and a strange "),
    "broken": (" who has a broken ", " and a broken "),
    "learn": (" who wants to learn something about a ", " who is learning to use a "),
    "talking": (" and a talking ", " who can hear a "),
    "contest": (" who wants to win a ", " who wants a "),
    "gift": (" who wants to buy a ", " who wants to give somebody a "),
    "journey": (" who travels with a ", " who goes on a journey with a "),
    "share": (" who does not want to share a ",),
    "invention": (" who invents a ", " who builds a "),
}

# Stories about two heroes of the same kind need no introduction of the friend.
PAIR_PLOTS = ("lost", "found", "broken", "fear", "mystery", "invention", "journey")
FRIEND_INTRODUCTION = re.compile(r", (an?|the)( \[[^\]]*\]| \w+)* \{fkind\}( next door)?,?")

SUMMARIES = {
    "lost": "{name} loses the {thing}, and {friend} helps to find it again",
    "found": "{name} finds a strange {thing} and asks {friend} what to do with it",
    "broken": "the {thing} of {name} breaks, and {friend} helps to mend it",
    "learn": (
        "{name} learns with the help of {friend} and does not give up until the {thing} is done"
    ),
    "storm": "{name} opens the door to {friend} in a storm, and the {thing} saves them",
    "talking": "{name} finds out that the {thing} can talk and takes it on a journey",
    "contest": "{name} and {friend} both want to win a {thing}, and {name} shows how kind {he} is",
    "gift": "{name} works hard to give {friend} a {thing} as a birthday gift",
    "journey": "{name} goes on a journey with a {thing} and finds a friend, {friend}",
    "fear": "{name} is afraid but goes out into the night to find {friend}",
    "share": "{name} does not want to share the {thing} with {friend} at first, but then does so",
    "mystery": "{name} and {friend} find out what happens at night near {place}",
    "invention": "{name} builds a {thing}, and it runs away",
}

BRIEF = (
    (
        '{Opening} [One day|One morning] {he} found a {thing}. "[What a treasure|How lovely|What is'
        ' this]!" said {name}. But the {thing} belonged to {friend}, a {fkind}, who [had looked for'
        " it everywhere|missed it very much]. So {name} gave it back, and {friend} [smiled|laughed"
        " with joy]. {Ending}"
    ),
    (
        "{Opening} {He} [wanted a friend|was often alone]. One day {friend}, a {fkind}, came by"
        ' with a {thing}. "[Shall we share it|Do you want to see it|Can you help me carry it]?"'
        " asked {friend}. {name} [nodded|said yes at once]. {Ending}"
    ),
    (
        "{Opening} [One night|One evening] {he} heard a noise. It was only {friend}, a {fkind}, who"
        " had [dropped|lost] a {thing} in the dark. {name} brought a light, and together they"
        ' [found|picked up] the {thing}. "[Thank you|You are kind]," said {friend}. {Ending}'
    ),
    (
        '{Opening} {He} had a {thing} that [nobody else wanted|was very old|did not work]. "[Throw'
        ' it away|It is useless]," said everyone. But {friend}, a {fkind}, looked at it and said:'
        ' "[It is beautiful|I can mend it|I always wanted one]." {name} [was so happy|danced with'
        " joy]. {Ending}"
    ),
    (
        "{Opening} {He} wanted to give a {thing} to {friend}, the {fkind}. But on the way [it began"
        ' to rain|{he} fell into a stream|the wind took it away]. {name} [cried|was sad]. "[You are'
        ' the best gift|I am happy that you came]," said {friend}. {Ending}'
    ),
    (
        '{Opening} One day the {thing} began to speak. "[Take me to {friend}|I want to go to'
        ' {friend}]," it said. {name} was [surprised|amazed], but {he} carried the {thing} all the'
        ' way to {friend}, a {fkind}. "[At last|There you are]!" cried {friend}. {Ending}'
    ),
    (
        "{Opening} [One summer|One winter] {he} and {friend}, a {fkind}, wanted to build a {thing}."
        " They [worked|tried] for three days, and on the fourth day it [fell apart|broke]. They"
        " looked at each other and [laughed|began again]. {Ending}"
    ),
    (
        '{Opening} {Friend}, a {fkind}, came and said: "[I bet you are afraid of|I bet you cannot'
        ' lift] my {thing}." {name} [took a deep breath|smiled] and [touched it|lifted it high].'
        ' "[You are braver than I thought|Well done]," said {friend}. {Ending}'
    ),
)

TWO_OPENINGS = (
    (
        "[Once upon a time|Long ago|Once] there were two {kinds} called {name} and {friend}, who"
        " lived {in_place}."
    ),
    "{name} and {friend} were two {kinds} from {place}.",
    "Two {kinds} lived near {place}. Their names were {name} and {friend}.",
)

THEMES = (
    "friendship courage kindness patience honesty love hope winter summer spring autumn Christmas"
    " luck fear loneliness dreams happiness helping sharing music family home night bravery trust"
    " magic learning"
).split()

THEME_ENDINGS = (
    "This is a story about {theme}, and I hope you liked it.",
    "So {name} and {friend} learned something about {theme}.",
    "And whenever {name} thinks of {theme}, {he} thinks of {friend}.",
)

ASKS = (
    (
        "[Tell me|Please tell me|Can you tell me|Write|Write me|Make up|I would like to hear|I"
        " want|Give me|Could you write|Invent|Please write] a [|short |little |nice |funny |new"
        " |bedtime |fairy ]story about {elements}"
    ),
    "[Write|Tell] a [|short |small ]tale [about|of] {elements}",
    "[A story|Story|Short story] about {elements}, please",
    "Do you know a story [about|with] {elements}",
    "[Tell me|Write] a story with {elements} [in it|]",
    "Can you [write|make up|invent] something about {elements}",
    "[Tell me|Write] about {elements}",
    "[The story should be about|I want to hear about] {elements}",
)

PLAIN_ASKS = (
    (
        "[Tell me|Please tell me|Can you tell me|Write|I want to hear|Tell us|I would like] a"
        " [|short |nice |funny |bedtime ]story"
    ),
    "[A story|Story], please",
    "Do you know a [good |nice |]story",
    "I am bored. Tell me a story",
    "Can you write a story for [my daughter|my son|the children|me|a friend]",
    "Can you tell stories",
)

AGAIN = (
    (
        "[Tell me another one|Another one, please|Another story|Tell me another story|One more|One"
        " more story, please|Yes, another one please|Again|Do you know another story|I want another"
        " story]."
    ),
)

FOLLOW_UPS = (
    (
        (
            "[What was the name of the {kind}|What is the {kind} called|Who is the story about|Who"
            " was the hero of the story|Who is the main character|Who is {name}]?"
        ),
        (
            "[The {kind} is called {name}|The name of the {kind} is {name}|The story is about"
            " {name}, the {kind}|The hero of the story is {name}, a {kind}]."
        ),
    ),
    (
        "[Who is {friend}|Who was {friend}|And {friend}]?",
        (
            "{friend} is [the {fkind} in the story|a {fkind}], and [a friend of {name}|{name} meets"
            " {friend} along the way]."
        ),
    ),
    (
        (
            "[Where did it happen|Where does {name} live|Where does the story take place|Where did"
            " {name} live]?"
        ),
        "[It happened near {place}|The story takes place near {place}|{name} lives near {place}].",
    ),
    (
        "[What thing is in the story|Which thing is important in the story|What does {name} have]?",
        "[It is|In the story there is] a {thing}. [It is important for {name}.|]",
    ),
    (
        "[I like it|Nice story|That was nice|Thank you|Great story|Beautiful|I liked that]!",
        (
            "[Thank you! I am glad you liked it|I am happy that you like it|You are welcome! {name}"
            " sends greetings]. [Shall I tell you another one?|Would you like another story?|Just"
            " ask if you want one more.|]"
        ),
    ),
    (
        (
            "[What is the moral|What can we learn from it|What is the lesson of the story|What is"
            " the moral of the story]?"
        ),
        (
            "[The moral is that|We can learn that|The story shows that] [it is good to have a"
            " friend like {friend}|nobody has to do everything alone|kindness always comes back|it"
            " is brave to help others]. {name} [found that out|learned it] with the help of"
            " {friend}."
        ),
    ),
)

SUMMARY_ASK = (
    "[Summarise the story|Give me a summary|What is the story about|What happens in the"
    " story|Summarise it in one sentence|Tell it in one sentence|Can you sum up the story|Summarise"
    " this text]"
)


def inside(place: str) -> str:
    """The place with a preposition that suits it."""
    known = place.split()[-1] in words.ENTERABLE or place in words.TOWNS
    return ("in " if known else "near ") + place


GENDERED = {
    **dict.fromkeys(
        "woman girl grandmother princess queen witch fairy mermaid hen cow".split(), "she"
    ),
    **dict.fromkeys(
        "man boy grandfather prince king wizard postman fisherman rooster snowman".split(), "he"
    ),
}


def fitting(world: World, kind: str) -> str:
    """A name that suits this kind of hero: no queen is called Archibald."""
    wanted = GENDERED.get(kind.split()[-1])
    while True:
        name, pronoun = world.person()
        if wanted in (None, pronoun):
            return name


USUAL_KINDS = """
cat dog fox hare rabbit mouse squirrel hedgehog badger bear wolf goat sheep pony donkey duck hen owl
crow swan penguin parrot frog turtle snail bee whale otter beaver lion elephant monkey mole dragon
giant witch wizard robot ghost queen king baker farmer sailor teacher doctor painter
""".split()

USUAL_THINGS = """
lamp lantern candle bell drum flute violin mirror clock book letter map key hat scarf button ring
crown coin box basket kite ball doll puppet apple pear cake pie loaf feather shell stone pearl
umbrella blanket pillow cup spoon pot bottle whistle compass telescope
""".split()

USUAL_NAMES = {
    "she": """
    Anna Bella Clara Daisy Ella Emma Flora Greta Hanna Iris Julia Lena Lily Lucy Maria Mia Nina Nora
    Olive Rosa Ruby Sara Tilda Vera
    """.split(),
    "he": """
    Adam Ben Bruno Carl David Emil Felix Finn Fred George Hugo Jack Leo Luke Max Milo Oscar Otto Paul
    Peter Sam Theo Tim Tom
    """.split(),
}


class Cast:
    """Everything that a story needs, and the words in which the user asks for it."""

    def __init__(self, world: World, name: str | None = None, brief: bool = False):
        rng = world.rng
        self.rng = rng
        self.kind, self.friend_kind = world.creature(), world.creature()
        if rng.random() < 0.08:
            self.kind = rng.choice(("woman", "man"))
        self.name = name or fitting(world, self.kind)
        self.friend = self.name
        while self.friend == self.name:
            self.friend = fitting(world, self.friend_kind)
        self.pair = name is None and rng.random() < 0.10
        if self.pair:
            self.friend_kind = self.kind
        self.thing = world.thing()
        self.place = world.place() if rng.random() < 0.85 else world.town()
        self.theme = rng.choice(THEMES) if rng.random() < 0.08 else None
        self.big = self.thing.split()[-1] in words.BIG_THINGS
        self.brief = brief and not self.pair
        plots = PAIR_PLOTS if self.pair else tuple(PLOTS)
        self.plot = rng.choice([plot for plot in plots if not self.big or plot in BIG_PLOTS])
        self.slots = {
            "name": self.name,
            "kind": self.kind,
            "friend": self.friend,
            "fkind": self.friend_kind,
            "kinds": plural(self.kind),
            "thing": self.thing,
            "place": self.place,
            "in_place": inside(self.place),
            "theme": self.theme,
            **self._references(),
        }

    def settle(self, world: World, ask: str) -> None:
        """What the user did not name is something that everybody can spell."""
        if not self.pair and self.kind not in ask:
            self.kind = world.rng.choice(USUAL_KINDS)
        if not self.pair and self.friend_kind not in ask:
            self.friend_kind = world.rng.choice(USUAL_KINDS)
        if self.thing not in ask and not self.big:
            self.thing = world.rng.choice(USUAL_THINGS)
        if self.place not in ask and not self.place.startswith("the "):
            self.place = world.pick(words.TOWNS)
        if self.name not in ask:
            self.name = self._listed_name(world, self.kind)
        if self.friend not in ask:
            self.friend = self.name
            while self.friend == self.name:
                self.friend = self._listed_name(world, self.friend_kind)
        self.slots.update(
            name=self.name,
            kind=self.kind,
            friend=self.friend,
            fkind=self.friend_kind,
            kinds=plural(self.kind),
            thing=self.thing,
            place=self.place,
            in_place=inside(self.place),
            **self._references(),
        )

    def _listed_name(self, world: World, kind: str) -> str:
        gender = GENDERED.get(kind.split()[-1], world.rng.choice(("she", "he")))
        return world.rng.choice(USUAL_NAMES[gender])

    def _references(self) -> dict[str, str]:
        """How the story speaks of its hero after the first mention: by name or kind, never by a
        pronoun. Nobody can tell from "Oluwaseun" or "a badger" which one would be right, and a small
        model that has to guess changes its mind in the middle of the story."""
        if self.pair:
            return {"He": self.name, "he": self.name, "him": self.name}
        first, _, rest = self.kind.partition(" ")
        kind = "the " + (rest if rest and first in words.CREATURE_ADJECTIVES else self.kind)
        return {"He": self.name, "he": kind, "him": kind}

    def elements(self) -> str:
        """A random part of the cast, as the user would name it."""
        rng = self.rng
        if self.theme:
            return self.theme if rng.random() < 0.5 else f"{self.theme} and {self.hero()}"
        parts = [self.hero()]
        if rng.random() < 0.5:
            parts.append(f"a {self.thing}")
            if rng.random() < 0.15:
                parts.append(self.friend_as_asked())
        elif rng.random() < 0.4:
            parts.append(self.friend_as_asked())
        elif rng.random() < 0.6:
            told = () if self.brief else WANTS.get(self.plot, ())
            parts[0] += rng.choice((" with a ", " who has a ", *told, *told)) + self.thing
        elif rng.random() < 0.1:
            parts = [f"a {self.thing}"]
        text = join(parts)
        if rng.random() < 0.2:
            text += " " + rng.choice((inside(self.place), "near " + self.place))
        return text

    def hero(self) -> str:
        if self.pair:
            names = f" called {self.name} and {self.friend}" if self.rng.random() < 0.5 else ""
            return f"two {self.slots['kinds']}{names}"
        dice = self.rng.random()
        if dice < 0.55:
            return f"a {self.kind} {self.rng.choice(('called', 'named'))} {self.name}"
        if dice < 0.65:
            return f"{self.name} the {self.kind}"
        if dice < 0.72:
            return f"{self.name}, a {self.kind}"
        if dice < 0.78:
            return f"my {self.kind} {self.name}"
        if dice < 0.88:
            return self.name
        return f"a {self.kind}"

    def friend_as_asked(self) -> str:
        dice = self.rng.random()
        if dice < 0.4:
            return f"a {self.friend_kind} {self.rng.choice(('called', 'named'))} {self.friend}"
        if dice < 0.5:
            return f"{self.friend} the {self.friend_kind}"
        if dice < 0.6:
            return f"my {self.friend_kind} {self.friend}"
        if dice < 0.8:
            return f"a {self.friend_kind}"
        return self.friend


def story_text(cast: Cast, brief: bool = False) -> str:
    """Tells the story; a brief one is a single paragraph."""
    rng, slots = cast.rng, cast.slots
    opening = rng.choice(TWO_OPENINGS if cast.pair else OPENINGS)
    ending = rng.choice(THEME_ENDINGS if cast.theme else ENDINGS)
    if brief:
        shapes = [BRIEF[i] for i in BIG_BRIEF] if cast.big else BRIEF
        short = rng.choice(shapes).replace("{Opening}", opening).replace("{Ending}", ending)
        return say(rng, short, **slots)
    trait, plot = rng.choice(TRAITS), PLOTS[cast.plot]
    if cast.pair:
        plot = [FRIEND_INTRODUCTION.sub("", part).replace("a {fkind} called ", "") for part in plot]
    paragraphs = (
        f"{opening} {trait}",
        f"{plot[0]} {plot[1]}",
        f"{plot[2]} {plot[3]}",
        f"{plot[4]} {ending}",
    )
    return "\n\n".join(say(rng, paragraph, **slots) for paragraph in paragraphs)


def _request(cast: Cast, brief: bool, plain: bool) -> str:
    """The user's request for this cast's story."""
    rng = cast.rng
    ask = say(rng, rng.choice(PLAIN_ASKS if plain else ASKS), elements=cast.elements())
    ask += "?" if ask.startswith(("Can", "Could", "Do ")) else "."
    if brief and "story" in ask and rng.random() < 0.5:
        ask = ask.replace("story", "very short story", 1)
    elif brief:
        ask += rng.choice(
            (
                " Keep it short.",
                " Please be brief.",
                " Only a few sentences.",
                " Make it short.",
                " Three sentences, please.",
                " In one paragraph.",
            )
        )
    return ask


def story(world: World) -> Chat:
    """A request for a story, the story, and sometimes questions about it or a second story."""
    rng = world.rng
    brief = rng.random() < 0.4
    if rng.random() < 0.04:
        name = world.name()
        cast = Cast(world, name)
        ask = say(
            rng, "[My name is|I am] {name}. [Tell me|Write|Make up] a story about me.", name=name
        )
        brief = False
    else:
        cast = Cast(world, brief=brief)
        brief = cast.brief
        ask = _request(cast, brief, plain=rng.random() < 0.1 and not cast.pair)
    cast.settle(world, ask)
    text = story_text(cast, brief)
    if rng.random() < 0.04 and "about me" not in ask:
        guest = world.name()
        ask = (
            say(rng, "[Hello|Hi|Good evening]! [My name is|I am] {guest}. ", guest=guest)
            + " "
            + ask
        )
        text = (
            say(
                rng,
                "Hello, {guest}! [Here is your story.|I hope that you like this story.]",
                guest=guest,
            )
            + f"\n\n{text}"
        )
    chat = [("user", roughen(rng, ask)), ("assistant", text)]
    for question, answer in rng.sample(FOLLOW_UPS, rng.choice((0, 0, 1, 2))):
        chat.append(("user", roughen(rng, say(rng, question, **cast.slots))))
        chat.append(("assistant", say(rng, answer, **cast.slots)))
    if not brief and rng.random() < 0.08:
        chat += _summary_turn(cast)
    if rng.random() < 0.06:
        chat.append(("user", roughen(rng, say(rng, rng.choice(AGAIN)))))
        again = Cast(world)
        again.settle(world, "")
        chat.append(("assistant", story_text(again)))
    return chat


def _summary(cast: Cast) -> str:
    return say(
        cast.rng,
        "[It is about {name}, a {kind}:|The story tells about {name}, a {kind}:] "
        + SUMMARIES[cast.plot]
        + ".",
        **cast.slots,
    )


def _summary_turn(cast: Cast) -> Chat:
    return [
        ("user", roughen(cast.rng, say(cast.rng, SUMMARY_ASK + "."))),
        ("assistant", _summary(cast)),
    ]


def given_story(world: World) -> Chat:
    """The user brings a story and asks about it: a reading task with a long prompt."""
    rng = world.rng
    cast = Cast(world)
    text = story_text(cast)
    turns = [
        (say(rng, q, **cast.slots), say(rng, a, **cast.slots))
        for q, a in rng.sample(FOLLOW_UPS[:4], rng.choice((1, 2, 3)))
    ]
    if rng.random() < 0.4:
        turns.insert(0, (say(rng, SUMMARY_ASK + "."), _summary(cast)))
    intro = say(
        rng, "[Read this story.|Here is a story.|Please read this.|I have a story for you.|]"
    )
    prompt = "\n\n".join(part for part in (intro, text, turns[0][0]) if part)
    chat = [("user", prompt), ("assistant", turns[0][1])]
    for question, answer in turns[1:]:
        chat += [("user", roughen(rng, question)), ("assistant", answer)]
    return chat
