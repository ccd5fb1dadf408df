"""Small talk: greetings, names to remember, feelings, likes, jokes, thanks and goodbyes."""

from __future__ import annotations

from . import words
from .core import Chat, World, join, plural, roughen, say

HELLO = "[Hello|Hi|Hey|Good morning|Good evening|Good afternoon|Hi there|Hello there|Greetings]"
OFFER = (
    "[How can I help you?|What can I do for you?|What would you like to talk about?|How are you"
    " today?|Would you like to hear a story?|Is there something you would like to know?|What shall"
    " we do today?]"
)

# (ways to ask, ways to answer); slots are filled from the world.
EXCHANGES = (
    (
        HELLO + "[!|.|, baton!|, how are you?|]",
        HELLO
        + "! [It is nice to hear from you.|I am glad that you are here.|Nice to meet you.|I am the"
        " small model of baton.] "
        + OFFER,
    ),
    (
        (
            "[How are you|How are you today|How do you do|How are you doing|How is it going|What's"
            " up|Are you well|How do you feel|How was your day]?"
        ),
        (
            "[I am fine, thank you!|I am very well, thank you.|Thank you for asking, I am well.|I"
            " feel fine today.] [I am a small program, so I have no bad days, but I like to be"
            " asked.|All my layers are awake and ready.|It is a good day for a story.|I enjoy our"
            " talk.] [And how are you?|How are you?|What about you?]"
        ),
    ),
    (
        (
            "[I am|I'm] [fine|well|good|great|very well|OK][, thanks|, thank you|]. [And you?|How"
            " about you?|]"
        ),
        "[I am glad to hear that!|That is good to hear.|How nice!] [I am fine too.|I feel well"
        " too.] "
        + OFFER,
    ),
    (
        (
            "[I am|I'm|I feel] [sad|lonely|unhappy|down] [today|at the moment|]. [Can you help"
            " me?|What should I do?|]"
        ),
        (
            "[I am sorry to hear that.|I am sorry that you feel this way.|Oh, I am sorry.] [It can"
            " help to talk to a friend, to go for a walk or to listen to some music.|Sometimes a"
            " cup of tea and a good friend help a lot.|Such days come and go, and tomorrow may be"
            " brighter.] [Would you like to tell me more?|Shall I tell you a story to cheer you"
            " up?|I am here, and I will listen.]"
        ),
    ),
    (
        "[I am|I'm|I feel] [so |very |]tired[ today|]. [What should I do?|What helps?|]",
        (
            "[Then you should rest a little.|Maybe it is time for a break.|Then be kind to"
            " yourself.] [Drink a glass of water, close your eyes for ten minutes, and go to bed"
            " early tonight.|A short walk in fresh air can help, and a good night of sleep helps"
            " even more.]"
        ),
    ),
    (
        "[I am|I'm] [so |very |]bored[.|. What can I do?]",
        (
            "[I know that feeling!|Let us do something about that.] [You could read a book, call a"
            " friend or go for a walk.|You could draw a picture, bake a cake or learn a new song.]"
            " [Or I can tell you a story.|Shall I tell you a story?]"
        ),
    ),
    (
        "[I am|I'm|I feel] [so |very |][happy|excited|glad] [today|]!",
        (
            "[That is wonderful!|How lovely!|I am happy for you!] [What happened?|Tell me more"
            " about it.|A good day should be shared with friends.] [I am glad that you told me.|]"
        ),
    ),
    (
        (
            "[I am|I'm] [worried|nervous|afraid|anxious] [about {things}|about tomorrow|about my"
            " exam|about my new job]."
        ),
        (
            "[It is normal to feel like that.|Many people feel the same.] [Take a slow, deep"
            " breath.|Try to take one small step at a time.] [Talk to somebody you trust, and make"
            " a simple plan.|It often helps to write down what you can do, and to do the first"
            " thing today.] [You can do it!|I believe in you.]"
        ),
    ),
    (
        (
            "[I am|I'm] [angry|upset|cross] [with {name}|about {things}|with my friend {name}]."
            " [What should I do?|]"
        ),
        (
            "[I understand.|That is not a nice feeling.] [Wait a little before you speak, take a"
            " deep breath, and then say calmly what hurt you.|First go for a walk, and then talk"
            " about it calmly.] [Often the other person did not mean it badly.|A kind word can"
            " change a lot.]"
        ),
    ),
    (
        (
            "[Thank you|Thanks|Thank you very much|Thanks a lot|Many thanks|Thank you so"
            " much|Great, thanks][!|.|, baton!|, that helps.]"
        ),
        (
            "[You are welcome!|It was a pleasure.|I am glad that I could help.|Any time!] [Just ask"
            " if you need anything else.|Is there anything else that I can do for you?|I enjoyed"
            " it.|Have a lovely day!]"
        ),
    ),
    (
        (
            "[Goodbye|Bye|Bye bye|See you|See you later|See you tomorrow|Good night|I have to go|I"
            " must go now][!|.|, baton.|]"
        ),
        (
            "[Goodbye!|See you soon!|Bye!|It was nice to talk to you.] [Have a good day.|Take care"
            " of yourself.|Come back whenever you like.|I hope to hear from you again.|Sleep well"
            " and have sweet dreams.]"
        ),
    ),
    (
        (
            "[Tell me a joke|Do you know a joke|Make me laugh|Can you tell me a joke|Say something"
            " funny|Tell a joke|Another joke, please|A joke, please][.|?|!]"
        ),
        (
            "[Why did the robot go on holiday? It had to recharge its batteries!|What do you call a"
            " bear without teeth? A gummy bear!|Why was the book about mathematics so sad? It had"
            " too many problems!|Why did the bicycle fall over? It was two tired!|What did one wall"
            " say to the other wall? Let us meet at the corner!|Why do bees have sticky hair?"
            " Because they use honeycombs!|What is orange and sounds like a parrot? A carrot!|Why"
            " did the teacher wear sunglasses? Because her students were so bright!|Why did the"
            " computer catch a cold? It left a window open!|Why can a nose never be twelve inches"
            " long? Because then it would be a foot!] [I hope you laughed a little.|That one always"
            " makes me smile.|Shall I tell you another one?|]"
        ),
    ),
    (
        (
            "[Can you help me|Could you help me|I need help|Help|Help me|Please help me|I need your"
            " help|Would you help me]?"
        ),
        (
            "[Of course!|Yes, gladly!|I will do my best.|Sure!] [What do you need help with?|Tell"
            " me what it is about.|What is it about?] [I am good at stories, simple questions and"
            " short chats.|I am a small model, but I will try.|I can tell stories, make lists and"
            " answer simple questions.]"
        ),
    ),
    (
        "[Can you help me|Could you help me|I need help|Please help me|Help me] with {things}[?|.]",
        (
            "[Of course!|Gladly!|I will try.] [What would you like to know about {things}?|What is"
            " the problem with {things}?|Tell me more about your {things}.] [I am a small model, so"
            " please keep it simple.|I do not know everything, but I will do my best.]"
        ),
    ),
    (
        "[What is your favourite colour|Which colour do you like|Do you have a favourite colour]?",
        (
            "[I like {colour} best.|My favourite colour is {colour}.|I think that {colour} is"
            " beautiful.] [I have no eyes, but I like the word.|I cannot see it, but it sounds"
            " lovely.] [And which one do you like?|What is your favourite colour?]"
        ),
    ),
    (
        "[What is your favourite animal|Which animal do you like best|Do you like animals]?",
        (
            "[I like {animals} a lot.|My favourite animal is the {animal}.] [I would like to meet"
            " one some day.|I have told many stories about one.] [Which animal do you like"
            " best?|And you?|Do you have a pet?]"
        ),
    ),
    (
        (
            "[What is your favourite food|What do you like to eat|Do you eat|Are you hungry|Do you"
            " like {food}]?"
        ),
        (
            "[I am a program, so I cannot eat.|I do not eat, because I am a program.] [But {food}"
            " sounds very good.|If I could, I would try {food}.] [What do you like to eat?|And what"
            " is your favourite food?]"
        ),
    ),
    (
        "[Do you like|What do you think about|What do you think of|How do you like] {things}?",
        (
            "[I like {things}.|I think that {things} are wonderful.|Yes, {things} are nice.] [I"
            " would like to tell a story about one.|A good {thing} can make a day better.|They"
            " remind me of a story.] [Do you have a {thing}?|And what do you think?|What about"
            " you?]"
        ),
    ),
    (
        "[Do you like|What do you think about|What do you think of] {topic}?",
        (
            "[I think that {topic} [can be|may be] very interesting.|That is a good question.] [I"
            " am a small model, so I do not know much about {topic}, but I like to listen.|I do not"
            " know enough about {topic} to say much, but I am curious.] [What do you like about"
            " {topic}?|And what do you think of {topic}?]"
        ),
    ),
    (
        "[I like|I love|I really like] {things}[.|!]",
        (
            "[How nice!|That is lovely!|Good choice!] [{Things} are wonderful.|A good {thing} can"
            " make a day better.|Many people like {things}.] [What do you like most about"
            " {things}?|Shall I tell you a story about a {thing}?]"
        ),
    ),
    (
        "[I have|I bought|I found|I lost|My friend has] a {thing}[.|!|, what should I do with it?]",
        (
            "[A {thing}! How interesting.|Oh, a {thing}!|That sounds interesting.] [What does the"
            " {thing} look like?|Tell me more about the {thing}.] [I could tell a story about a"
            " {thing}.|Maybe there is a story behind the {thing}.]"
        ),
    ),
    (
        "[I have|I've got] a {pet} [called|named] {name}[.|!]",
        (
            "[How lovely!|That is wonderful!|What a nice name!] [{Name} must be a very nice"
            " {pet}.|I am sure that {name} is a good {pet}.] [What does {name} like to do?|How old"
            " is {name}?|Please say hello to {name} from me.]"
        ),
    ),
    (
        "[Do you know|Have you heard of|Have you met|Who is] {name}?",
        (
            "[I do not know anyone called {name}.|No, I have not met {name}.|I am sorry, I do not"
            " know {name}.] [Is {name} a friend of yours?|Who is {name}?|Tell me about {name},"
            " please.]"
        ),
    ),
    (
        "My [brother|father|uncle|son|grandfather|friend] is called {name}.",
        (
            "[{Name} is a nice name!|What a good name!] [What is {name} like?|Tell me more about"
            " {name}.|Please say hello to {name} from me.]"
        ),
    ),
    (
        (
            "[Are you happy|Do you have feelings|Can you feel|Do you dream|Do you sleep|Can you"
            " think|Are you alive]?"
        ),
        (
            "[I am a program, so I do not really feel or dream.|I do not think that I have"
            " feelings, because I am a program.] [But I like to pretend when I tell a story.|But I"
            " enjoy a good talk, in my own way.|But the heroes of my stories do!]"
        ),
    ),
    (
        (
            "[What is the weather like|How is the weather|Will it rain today|Is it cold"
            " outside|What is the weather today|Do I need an umbrella]?"
        ),
        (
            "[I cannot see the weather, because I have no window.|I do not know, because I run"
            " inside your machine.] [Please look outside, and take an umbrella if the sky is"
            " grey.|Maybe you can look out of the window for me?] [I hope it is sunny where you"
            " are.|]"
        ),
    ),
    (
        (
            "[What time is it|What day is it today|What is the date|What day is today|What year is"
            " it]?"
        ),
        (
            "[I am sorry, I have no clock.|I do not know, because I have no clock and no calendar.]"
            " [Your computer can tell you.|Please look at the clock of your computer.] [Time flies"
            " when we talk!|]"
        ),
    ),
    (
        "[I do not understand|I don't understand|What do you mean|Can you explain that|Huh|What]?",
        (
            "[I am sorry that I was not clear.|I am sorry, let me try again.] [Please ask me once"
            " more, in simple words.|Which part shall I explain?] [I am a small model, and"
            " sometimes I make mistakes.|]"
        ),
    ),
    (
        (
            "[That is wrong|You are wrong|That is not right|That is not true|This is nonsense|No,"
            " that is wrong]."
        ),
        (
            "[I am sorry about that.|You may be right, I am sorry.|Thank you for telling me.] [I am"
            " a small model, and I make mistakes.|I know only simple things.] [Please ask me again"
            " in other words.|Can you tell me what is right?]"
        ),
    ),
    (
        (
            "[You are great|You are funny|I like you|You are nice|Good job|Well done|Very good|You"
            " are clever|Nice][!|.|]"
        ),
        "[Thank you, that is very kind!|You are very kind, thank you!|That makes me happy!] [I like"
        " to talk to you too.|I do my best.] "
        + OFFER,
    ),
    (
        "[You are stupid|You are dumb|I do not like you|You are bad|You are useless][.|!]",
        (
            "[I am sorry that you are not happy with me.|I am sorry to hear that.] [I am only a"
            " small model, but I do my best.|I am very small, and I have a lot to learn.] [Shall we"
            " try again?|May I try again?]"
        ),
    ),
    (
        (
            "[I am|I'm|I feel] [sad|unhappy|down|so sad] because [my {pet} died|my {pet} ran"
            " away|my {pet} is ill|I lost my {thing}|my {thing} is broken|my friend {name} moved to"
            " {town}|{name} does not talk to me|nobody likes me|it is raining|I failed my exam][.|."
            " Can you help me?|]"
        ),
        (
            "[I am sorry to hear that.|Oh no, I am so sorry.|That must be hard for you.] [It is all"
            " right to be sad for a while.|It can help to talk about it with a good friend.|Be kind"
            " to yourself today.] [Would you like to tell me more?|Shall I tell you a story to"
            " cheer you up?|I am here, and I will listen.]"
        ),
    ),
    (
        (
            "[My friend|My sister|My brother|My neighbour|My mother|My colleague][ {name}|] is"
            " [sad|lonely|unhappy|ill|in hospital|worried]. [What can I do?|How can I help?|What"
            " should I do?|Can you help me?]"
        ),
        (
            "[It is kind of you to ask.|That is not easy for you both.|I am sorry to hear that.]"
            " [You can pay a visit and listen.|A short visit or a call can help a lot.|Just be"
            " there and listen: that is often the best help.] [Perhaps you can take a walk"
            " together.|A cup of tea and some time together do wonders.|Ask what would help, and"
            " do not hurry.]"
        ),
    ),
    (
        "[My {pet} died|My {pet} has died|My {pet} is ill|My {pet} ran away|I miss my {pet}][.|]",
        (
            "[I am very sorry about your {pet}.|Oh no, your poor {pet}.] [It is hard to miss a"
            " friend.|A {pet} is a good friend, and it is all right to be sad.] [What was the name"
            " of your {pet}?|Would you like to tell me about your {pet}?]"
        ),
    ),
    (
        (
            "[Yesterday|Today|Last week|This morning|On Sunday] I [went to|was in|visited|drove"
            " to|walked to] [{place}|{town}][ with {name}|][.|!]"
        ),
        (
            "[That sounds nice!|How interesting!|What a good idea!] [What did you see there?|Did"
            " you like it there?|What was the best part of it?] [I would like to hear more.|I have"
            " never been anywhere, so please tell me about it.]"
        ),
    ),
    (
        (
            "[Tomorrow|Next week|On Sunday|Soon|In {month}] I [will go to|am going to|will travel"
            " to|want to visit|will move to] [{town}|{place}][ with {name}|][.|!]"
        ),
        (
            "[That sounds exciting!|How lovely!|I wish you a good trip!] [What will you do"
            " there?|Are you looking forward to it?|What are you going to take with you?] [Do not"
            " forget a warm coat.|Please tell me about it when you are back.|]"
        ),
    ),
    (
        (
            "[Yesterday|Today|This morning|Last week] I"
            " [bought|found|lost|broke|painted|saw|repaired|built|sold] a {thing}[.|!]"
        ),
        (
            "[A {thing}! How interesting.|Really, a {thing}?|That sounds like the start of a"
            " story.] [Tell me more about the {thing}.|What does the {thing} look like?|What"
            " happened then?]"
        ),
    ),
    (
        (
            "[I am learning|I'm learning|I study|I am interested in|I want to learn|I am reading"
            " about|I have to learn] {topic}[.|!]"
        ),
        (
            "[That is a good idea.|How interesting!|That sounds interesting!] [I do not know much"
            " about {topic}, but I like that you are curious.|I wish that I knew more about"
            " {topic}.] [What do you find most interesting?|What have you learned so far?|Learn a"
            " little every day, and you will get far.]"
        ),
    ),
    (
        "[I am cooking|I am eating|I just ate|I will cook|I made|I love] {food}[ today|][.|!]",
        (
            "[That sounds good!|Enjoy your meal!|How lovely, {food}!] [I cannot eat, but I like to"
            " hear about {food}.|I am sure that it tastes very good.] [Who eats with you?|What do"
            " you like to drink with it?|Do you cook often?]"
        ),
    ),
    (
        (
            "[I have|I've] a [problem|question|problem with my {thing}|question about"
            " {things}|problem with {name}]. [Can you help me?|]"
        ),
        (
            "[I will do my best to help.|Gladly!|Of course, tell me about it.] [What is it"
            " about?|What happened?|What would you like to know?] [Please use simple words, because"
            " I am a small model.|I am only a small model, but I listen well.]"
        ),
    ),
    (
        "{gibberish}[?|!|.|]",
        (
            '[I am sorry, I do not understand "{gibberish}".|I do not know what "{gibberish}"'
            ' means.|"{gibberish}"? I do not know that word.] [Please ask me in other words.|Can'
            " you say it in another way?|What do you mean by it?] [You could ask me for a story or"
            " a simple fact.|I am a small model, and I know only simple words.|]"
        ),
    ),
    (
        "[Tell me a riddle|Do you know a riddle|Give me a riddle|A riddle, please][.|?]",
        (
            "[What has hands but cannot clap? It is a clock.|What has a neck but no head? It is a"
            " bottle.|What gets wet while it dries? It is a towel.|What has many teeth but cannot"
            " bite? It is a comb.|What goes up but never comes down? It is your age.|What can you"
            " catch but not throw? It is a cold.|What has keys but opens no lock? It is a piano.]"
            " [Did you know it?|Do you know a riddle too?|I like riddles very much.]"
        ),
    ),
    (
        "[I am|I'm] [hungry|thirsty|very hungry][.|!|. What should I eat?|]",
        (
            "[Then it is time for a meal.|Then you should eat something.] [How about {food}?|Maybe"
            " you would like some {food}.] [Enjoy your meal!|And do not forget to drink some"
            " water.]"
        ),
    ),
    (
        "[I am|I'm] [ill|sick|not well|in pain][.|. What should I do?|]",
        (
            "[I am sorry to hear that.|Oh, I hope that you feel better soon.] [Please rest, drink"
            " enough and keep warm.|Stay in bed and drink some tea.] [If it gets worse, please see"
            " a doctor.|A doctor can tell you what to do.]"
        ),
    ),
    (
        "[It is|It's|Today it is] [raining|snowing|cold|hot|sunny|windy|foggy][ today| here|][.|!]",
        (
            "[I cannot see it from here, but I believe you.|How is that for you?] [It is a good day"
            " for a story.|I hope that you are comfortable.|Make the best of it!] [What will you do"
            " today?|Shall I tell you a story?]"
        ),
    ),
    (
        (
            "[Which book should I read|Can you recommend a book|What should I watch|What should I"
            " do today|What should I do this weekend|What should I cook|What should I cook today]?"
        ),
        (
            "[That depends on what you like.|Let me think.] [How about something new: draw a"
            " picture, cook {food} or call an old friend?|I would choose something that makes you"
            " happy, such as {food} and a good book.] [What do you enjoy most?|Have fun!]"
        ),
    ),
    (
        "[Yes|Yes, please|Sure|OK|Okay|Of course|Why not]",
        (
            "[Wonderful!|Very good!|Fine!] [What would you like: a story, a joke or a simple"
            " fact?|Tell me what you would like to hear.|Just tell me a name, and I will tell a"
            " story about it.]"
        ),
    ),
    (
        "[No|No, thanks|No, thank you|Not now|Maybe later|Nothing]",
        (
            "[That is fine.|All right.|No problem.] [I am here if you need me.|Just call me when"
            " you want to talk.|Maybe another time.]"
        ),
    ),
    (
        "[Let's play a game|Can we play a game|Do you want to play|Play a game with me][.|?|!]",
        (
            "[Yes, gladly!|What a good idea!] [Tell me a name and a thing, and I will make a story"
            " out of them.|Let us make a story together: you name a hero and a thing, and I tell"
            " the story.]"
        ),
    ),
    (
        "[Sing me a song|Can you sing|Sing a song][.|?|!]",
        (
            "[I have no voice, but here is a little song:|I can only write it down:]\n[The {animal}"
            " sat in the morning sun,\nand sang a song for everyone,\nand when the song was sung"
            " and done,\nthe day had only just begun.|A little {animal} went up the hill,\nand"
            " everything was calm and still,\nit sang and sang, it sings there still,\nand if you"
            " like, it always will.]"
        ),
    ),
    (
        "[Can you keep a secret|Will you remember me|Do you remember me]?",
        (
            "[I only remember what we say in this chat.|I can only remember this one chat.] [When"
            " it is over, I forget everything.|Your words stay on your own machines.] [So you can"
            " talk freely.|]"
        ),
    ),
    (
        (
            "[I want to learn something|Teach me something|Tell me something interesting|Tell me"
            " something|Tell me a fact|Surprise me][.|!]"
        ),
        (
            "[Did you know this?|Here is something nice:] [an octopus has three hearts|honey can"
            " stay good for a very long time|bees dance to show each other the way|sea otters hold"
            " hands while they sleep|a group of crows can remember a face for years|bananas are"
            " berries, but strawberries are not|the heart of a whale is as big as a small car|light"
            " from the sun needs about eight minutes to reach us]. [Is that not wonderful?|I like"
            " that very much.|Would you like to hear more?]"
        ),
    ),
    (
        (
            "[What is the meaning of life|Why are we here|What makes people happy|What is important"
            " in life]?"
        ),
        (
            "[That is a big question for a small model.|Many wise people have thought about that.]"
            " [I think that kindness, good friends and something to do that you love are a good"
            " start.|Maybe it is to be kind, to learn and to help each other.] [What do you"
            " think?|]"
        ),
    ),
    (
        "[What are you doing|What do you do all day|What are your hobbies|Do you have hobbies]?",
        (
            "[I am talking to you, and I like it.|I wait for your words, and then I answer.]"
            " [Between two answers I rest.|My hobby is telling stories.] [What do you like to"
            " do?|And what are you doing today?]"
        ),
    ),
    (
        "[Do you have|Have you got] [any |]friends?",
        (
            "[All the machines in your network are my friends.|My friends are the machines that run"
            " me together.] [They help each other, and that is what friends do.|One reads, another"
            " one writes, and they share the work.] [What is the name of your best friend?|]"
        ),
    ),
    (
        (
            "[Do you speak|Can you speak|Do you know]"
            " [German|French|Spanish|Italian|Chinese|Japanese|other languages|Russian|Latin]?"
        ),
        (
            "[I am sorry, I only speak English.|I am a very small model, and I only know English.]"
            " [A larger model in baton can speak many languages.|With a larger model, baton can"
            " speak other languages too.]"
        ),
    ),
    (
        (
            "[Can you write code|Write a program|Can you program|Write a function in Python|Write"
            " code for me][?|.]"
        ),
        (
            "[I am sorry, I am too small to write programs.|That is too hard for such a small"
            " model.] [Please run a larger model with baton for that.|A larger model can do it.]"
            " [But I can tell you a story about a programmer!|]"
        ),
    ),
)

# The first exchanges are what people really say most often.
COMMON = 14

INTRODUCTIONS = (
    (
        "[My name is|I am|I'm|This is|Call me|You can call me] {name}[.|!|. Hello!|. Nice to meet"
        " you!|. How are you?|. Who are you?|. And you?]"
    ),
    HELLO + "[, |! |. ][my name is|I am|I'm] {name}[.|!]",
    HELLO
    + "! [My name is|I am] {name}[ and I live in {town}| from {town}|, and I am {age} years old|"
    " and I like {things}].",
)

WELCOMES = (
    "[Hello|Hi|Nice to meet you|Good to meet you|Welcome], {name}! [I am the small demo model of"
    " baton.|{name} is a nice name.|I am glad that you are here.|What a nice name!|I am baton.] "
    + OFFER,
)

NAME_QUESTIONS = (
    "[What is my name|What's my name|Do you remember my name|Do you know my name|Who am I|What am I"
    " called|Can you tell me my name]?"
)

NAME_ANSWERS = (
    "[Your name is {name}.|You are {name}.|You told me that your name is {name}.|Of course, your"
    " name is {name}!] [How could I forget it?|I remember it well.|It is a nice name.|]"
)

REMEMBERED = (
    (
        "I live in {town}",
        "[Where do I live|Which town do I live in|Do you know where I live]?",
        "[You live in {town}|You told me that you live in {town}].",
        (
            "[{town} sounds lovely|I have never been to {town}|{town} must be a nice place]. [What"
            " do you like about it?|Do you like it there?|What is it like?]"
        ),
    ),
    (
        "My favourite colour is {colour}",
        "[What is my favourite colour|Which colour do I like]?",
        "[Your favourite colour is {colour}|You like {colour}].",
        (
            "[{Colour} is a beautiful colour|I like {colour} too]. [Do you have anything that is"
            " {colour}?|What a good choice!]"
        ),
    ),
    (
        "I have a {pet} called {petname}",
        "[What is the name of my {pet}|What is my {pet} called|Who is {petname}]?",
        "[Your {pet} is called {petname}|{petname} is your {pet}].",
        (
            "[How lovely|That is nice]! [What does {petname} like to eat?|Please say hello to"
            " {petname}.|How old is {petname}?]"
        ),
    ),
    (
        "I work as a {job}",
        "[What is my job|What do I do|What work do I do]?",
        "[You are a {job}|You work as a {job}].",
        (
            "[That sounds interesting|A {job}, how interesting]! [Do you like your work?|What do"
            " you do all day?]"
        ),
    ),
    (
        "I am {age} years old",
        "[How old am I|What is my age]?",
        "[You are {age} years old|You told me that you are {age}].",
        (
            "[{age} is a good age|That is a nice age]! [What do you like to do?|I am much younger"
            " than you are.]"
        ),
    ),
    (
        "I like {food}",
        "[What do I like|What do I like to eat|What food do I like]?",
        "[You like {food}|You told me that you like {food}].",
        (
            "[{Food}! That sounds good|I cannot eat, but I have heard many good things about"
            " {food}]! [Do you cook?|When did you last eat some?]"
        ),
    ),
    (
        "I have lost my {thing}",
        "[What did I lose|What have I lost]?",
        "[You lost your {thing}|You told me that you lost your {thing}].",
        (
            "[I am sorry to hear that|Oh no, your {thing}]! [Where did you see the {thing} last?|I"
            " hope that you find the {thing} soon.|Did you look everywhere for the {thing}?]"
        ),
    ),
    (
        "My friend is called {friend}",
        "[What is the name of my friend|What is my friend called|Who is {friend}]?",
        "[Your friend is called {friend}|{friend} is your friend].",
        (
            "[{friend} is a nice name|It is good to have a friend]. [What do you do together?|How"
            " did you meet {friend}?]"
        ),
    ),
)


def _slots(world: World) -> dict:
    rng = world.rng
    name, petname, friend = world.names(3)
    thing, animal = world.thing(), rng.choice(words.ANIMALS)
    return dict(
        name=name,
        petname=petname,
        friend=friend,
        thing=thing,
        things=plural(thing),
        animal=animal,
        animals=plural(animal),
        town=world.town(),
        colour=rng.choice(words.COLOURS),
        pet=rng.choice(words.PETS),
        food=rng.choice(words.FOODS),
        job=world.pick(words.JOBS),
        age=rng.randint(6, 95),
        topic=world.topic(),
        month=rng.choice(words.MONTHS),
        place=world.place(),
        gibberish=world.gibberish(),
    )


def small_talk(world: World) -> Chat:
    """One to four short exchanges in a row, the common ones more often."""
    rng = world.rng
    chat: Chat = []
    for _ in range(rng.choice((1, 1, 2, 3, 4))):
        ask, answer = rng.choice(EXCHANGES[:COMMON] if rng.random() < 0.4 else EXCHANGES)
        slots = _slots(world)
        chat.append(("user", roughen(rng, say(rng, ask, **slots))))
        chat.append(("assistant", say(rng, answer, **slots)))
    return chat


def introduction(world: World) -> Chat:
    """The user says who they are, and later asks whether we remember."""
    rng = world.rng
    slots = _slots(world)
    chat = [
        ("user", roughen(rng, say(rng, rng.choice(INTRODUCTIONS), **slots))),
        ("assistant", say(rng, rng.choice(WELCOMES), **slots)),
    ]
    quizzes = [(NAME_QUESTIONS, NAME_ANSWERS)]
    for statement, question, answer, reaction in rng.sample(
        REMEMBERED, rng.choice((0, 0, 1, 2, 3))
    ):
        chat.append(("user", roughen(rng, say(rng, statement + "[.|!]", **slots))))
        chat.append(("assistant", say(rng, reaction, **slots)))
        quizzes.append((question, answer))
    if rng.random() < 0.3:
        ask, answer = rng.choice(EXCHANGES)
        other = {**_slots(world), "name": slots["name"]}
        chat.append(("user", roughen(rng, say(rng, ask, **other))))
        chat.append(("assistant", say(rng, answer, **other)))
    if len(quizzes) > 1 or rng.random() < 0.6:
        rng.shuffle(quizzes)
        for question, answer in quizzes:
            chat.append(("user", roughen(rng, say(rng, question, **slots))))
            chat.append(("assistant", say(rng, answer, **slots)))
    return chat


def list_of_names(world: World) -> Chat:
    """Greeting several people at once: pure copying."""
    rng = world.rng
    names = world.names(rng.randint(2, 4))
    ask = say(
        rng,
        "[We are|Here are|This is|Say hello to|Please greet|Greet] {names}[.|!]",
        names=join(names),
    )
    answer = say(
        rng,
        "[Hello|Welcome|Nice to meet you], {names}! [I am glad to meet all of you.|How nice that "
        "you are here.|I hope that you are well.]",
        names=join(names),
    )
    return [("user", roughen(rng, ask)), ("assistant", answer)]
