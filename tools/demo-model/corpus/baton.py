"""Questions about baton itself, and about the model that answers them."""

from __future__ import annotations

from .core import Chat, World, roughen, say

# Each entry: ways to ask, and ways to answer.
FACTS = (
    (
        (
            "What is baton",
            "What's baton",
            "Tell me about baton",
            "Explain baton",
            "What does baton do",
            "What is this program",
            "What is this",
            "Can you explain what baton is",
            "Describe baton",
            "Baton, what is that",
            "What can baton do",
            "What is the idea of baton",
            "What is baton in one sentence",
            "Who or what is baton",
        ),
        (
            (
                "Baton [makes|is a program that makes] one AI out of all the devices you own. Every"
                " machine runs the same program, [the machines find each other on the local"
                " network|they find each other on your network], and together they [run a language"
                " model|answer your questions]. [It works without internet, and nobody gets in who"
                " was not invited.|The device that is best at reading the prompt does that, and the"
                " one that is best at writing does the rest.]"
            ),
            (
                "Baton is a [program|tool] that runs one language model [across several machines|on"
                " all of your machines together]. [One device reads the prompt and hands its work"
                " on to another, like a runner in a relay race.|The machines measure themselves and"
                " plan together who does what.] [It is written in C++ and free to use.|It needs no"
                " internet.|Your words stay on your own devices.]"
            ),
        ),
    ),
    (
        (
            "Why is it called baton",
            "Where does the name baton come from",
            "Why the name baton",
            "What does the name baton mean",
            "Why do you call it baton",
            "What is a baton",
        ),
        (
            (
                "A baton is the stick that a relay runner hands on to the next runner. [In baton,"
                " one device computes the prompt and hands its KV cache on to the device that"
                " writes the answer.|Here, one device hands its KV cache on to the next one, which"
                " goes on with the answer.] [That is where the name comes from.|So the name fits"
                " well.]"
            ),
        ),
    ),
    (
        (
            "What is prefill",
            "What's prefill",
            "Explain prefill",
            "What does prefill mean",
            "What happens during prefill",
            "Tell me about prefill",
            "What is the prefill phase",
            "What is prompt processing",
            "Can you explain prefill",
        ),
        (
            (
                "Prefill [is the first phase of an answer|is the first step]: the [whole prompt is"
                " computed at once|model reads the whole prompt], and the KV cache is filled. It"
                " needs a lot of [compute|computing power]. [So it should run on the device with"
                " the fastest processor.|After that, decode begins.|A long prompt takes longer to"
                " prefill than a short one.]"
            ),
            (
                "Prefill means computing the whole prompt [before the first word of the answer|in"
                " one go]. It fills the KV cache, and it needs [compute more than memory"
                " bandwidth|much compute]. [Baton gives this work to the device that is best at"
                " it.|The longer the prompt, the more work it is.]"
            ),
        ),
    ),
    (
        (
            "What is decode",
            "What's decode",
            "Explain decode",
            "What does decode mean",
            "What is decoding",
            "What happens during decode",
            "Tell me about decode",
            "What is the decode phase",
            "Can you explain decode",
            "How is the answer generated",
        ),
        (
            (
                "Decode [is the second phase|comes after prefill]: the answer is generated one"
                " token at a time. [Every token needs all the weights of the model|For each token"
                " the whole model is read from memory], so decode needs memory bandwidth. [Baton"
                " gives it to the device with the fastest memory.|A device with fast memory is good"
                " at it.]"
            ),
            (
                "Decode means generating [one token after another|the answer, one token at a time]."
                " It needs memory bandwidth [more than compute|above all]. [Baton picks the device"
                " that is best at it.|It starts when prefill is done.]"
            ),
        ),
    ),
    (
        (
            "What is the difference between prefill and decode",
            "How do prefill and decode differ",
            "Prefill or decode, what is the difference",
            "Compare prefill and decode",
            "Why are prefill and decode done on different devices",
            "Why does baton split prefill and decode",
            "What are prefill and decode",
        ),
        (
            (
                "Prefill computes the whole prompt at once and needs compute. Decode generates one"
                " token at a time and needs memory bandwidth. [Different devices are good at"
                " different things, so baton lets each do what it is best at.|The best device for"
                " one is often not the best for the other, and so baton can hand the KV cache from"
                " one to the other.]"
            ),
        ),
    ),
    (
        (
            "What is a KV cache",
            "What is the KV cache",
            "Explain the KV cache",
            "What does KV cache mean",
            "What is a key value cache",
            "Why do we need a KV cache",
        ),
        (
            (
                "The KV cache [is the memory of the model|holds what the model has read so far]:"
                " the keys and values of every token in every layer. [Prefill fills it, and decode"
                " uses it for each new token.|Thanks to it, nothing has to be computed twice.] [In"
                " baton it is handed from one device to another.|Baton sends it layer by layer.]"
            ),
        ),
    ),
    (
        (
            "How does baton work",
            "How does it work",
            "How do the devices work together",
            "How does baton share the work",
            "Explain how baton works",
            "What happens when I ask a question",
            "How do the machines work together",
            "How does the hand-over work",
            "How is the KV cache handed over",
            "Which machine computes the prompt",
            "Which machine writes the answer",
        ),
        (
            (
                "The device that is best at prefill computes the prompt. [While it is still"
                " computing, it hands its KV cache, layer by layer, to the device that is best at"
                " decode.|It hands its KV cache, layer by layer and while still computing, to the"
                " device that is best at decode.] [That one writes the answer, token by token.|It"
                " is like a relay race: one runner hands the baton on to the next.]"
            ),
            (
                "[First, the|The] machines find each other on the local network. They measure"
                " themselves and their links, and they plan together. Then one device computes the"
                " prompt and hands its KV cache to another, which writes the answer."
            ),
        ),
    ),
    (
        (
            "How do the machines find each other",
            "How do devices find each other",
            "How does baton find my other computers",
            "How are the nodes discovered",
            "How do I connect my machines",
            "How does discovery work",
        ),
        (
            (
                "The machines find each other on the local network [by themselves|on their own]."
                " [You start the same program on every machine.|Every machine runs the same"
                " program.] [Use an invite code to let a new machine join.|A new machine needs an"
                " invite code to get in.]"
            ),
        ),
    ),
    (
        (
            "How does baton plan",
            "How does it decide which device does what",
            "What is a plan in baton",
            "How does baton choose the device",
            "Which device does what",
            "Who decides what each device does",
            "What does baton measure",
            "Why does baton measure the devices",
        ),
        (
            (
                "[Every machine measures|The machines measure] how fast [it|each of them] can"
                " compute, how fast its memory is and how fast the links are. Then they plan"
                " together which device does prefill and which does decode. [You can see the plan"
                " with `baton plan`.|The command `baton plan` shows the result.]"
            ),
        ),
    ),
    (
        (
            "What if a model is too large for one device",
            "What about large models",
            "Can I run a model that does not fit on one machine",
            "My model is too big for my computer",
            "Can baton split a model",
            "How does baton run big models",
            "Does baton split models",
        ),
        (
            (
                "A model that is too large for one device is split over several. [Each device holds"
                " some of the layers|Every device keeps a part of the layers], and [together they"
                " run the whole model|the work goes from one to the next]. [So old machines can run"
                " a model that none of them could run alone.|]"
            ),
        ),
    ),
    (
        (
            "What happens if a device is lost",
            "What if a machine fails",
            "What if a device goes away",
            "What happens when I switch off a machine",
            "What if I close my laptop",
            "Is it a problem if a machine crashes",
            "What happens if one computer breaks",
            "What if a node disappears",
            "What happens if I unplug one of my computers",
            "What if I unplug a machine",
            "What happens when a machine dies",
        ),
        (
            (
                "If a device is lost, the answer goes on. [The other machines take over its"
                " work|The remaining devices make a new plan and carry on], so [you do not lose"
                " what was written|the conversation is not lost]."
            ),
        ),
    ),
    (
        (
            "Is baton safe",
            "Is baton secure",
            "Who can join my network",
            "Can strangers use my devices",
            "How does baton keep others out",
            "Is the connection encrypted",
            "Is my data private",
            "Does baton protect my data",
            "How does security work in baton",
            "Are my chats private",
        ),
        (
            (
                "[Yes.|] Nobody gets in who was not invited. A new machine needs an invite code,"
                " and the machines [talk to each other|send everything] with encryption. [Your"
                " words stay on your own devices.|Nothing is sent to the internet.]"
            ),
        ),
    ),
    (
        (
            "Does baton need the internet",
            "Can I use baton offline",
            "Does it work without internet",
            "Do I need internet",
            "Does baton send data to the cloud",
            "Is there a cloud",
            "Can baton work without the internet",
        ),
        (
            (
                "Baton works without internet. [Everything runs on your own machines, in your local"
                " network.|It only uses your local network.] [So your words stay with you.|There is"
                " no cloud.|]"
            ),
        ),
    ),
    (
        (
            "What language is baton written in",
            "In which language is baton written",
            "Is baton written in C++",
            "Which programming language does baton use",
            "What is baton made with",
        ),
        (
            (
                "Baton is written in C++. [Every machine runs the same program.|It is one program"
                " for all machines.]"
            ),
        ),
    ),
    (
        (
            "What is the licence of baton",
            "What license does baton have",
            "Is baton open source",
            "Is baton free",
            "Can I use baton for free",
            "Under which licence is baton",
            "How much does baton cost",
            "May I use baton at work",
        ),
        (
            (
                "[Yes, baton is open source.|Baton is free and open source.|Baton is open source.]"
                " Its licence is Apache-2.0, so you can use it, change it and share it."
            ),
        ),
    ),
    (
        (
            "Which commands does baton have",
            "What commands are there",
            "List the commands of baton",
            "What are the baton commands",
            "Show me the commands",
            "How do I use baton",
            "Help me with baton",
            "What can I type",
            "Which commands can I use",
        ),
        (
            (
                "[The most important commands are|Baton has these commands]:\n- `baton run` starts"
                " a chat\n- `baton serve` starts a server\n- `baton nodes` lists the machines\n-"
                " `baton plan` shows who does what\n- `baton invite` makes an invite code\n- `baton"
                " join` joins with a code\n- `baton bench` measures the speed"
            ),
        ),
    ),
    (
        (
            "What does baton run do",
            "What is baton run",
            "How do I start a chat",
            "How can I chat with a model",
            "How do I run a model",
            "How do I run baton",
            "How do I start baton",
        ),
        (
            (
                "[Use|Type] `baton run` to [start a chat with a model|run a model and chat with"
                " it]. [It uses all the machines that have joined.|The machines share the work.|]"
            ),
        ),
    ),
    (
        (
            "What does baton serve do",
            "What is baton serve",
            "How do I start a server",
            "Can other programs use baton",
            "Is there a server",
        ),
        (
            (
                "`baton serve` starts [a server|baton as a server], so that [other programs|your"
                " own programs] can [use the model|talk to the model]. [It runs on your own"
                " machine.|]"
            ),
        ),
    ),
    (
        (
            "What does baton nodes do",
            "What is baton nodes",
            "How do I see my machines",
            "Which machines are there",
            "How can I list the devices",
            "How many machines do I have",
        ),
        (
            (
                "`baton nodes` [lists|shows] the machines that [work together|have joined]. [You"
                " can see which devices are there.|Each machine is one node.]"
            ),
        ),
    ),
    (
        (
            "What does baton plan do",
            "What is baton plan",
            "How can I see the plan",
            "How do I see which machine does what",
        ),
        (
            (
                "`baton plan` shows the plan: which device does prefill, which does decode and [how"
                " the layers are shared|where the layers are]. [The plan comes from what the"
                " machines measured.|]"
            ),
        ),
    ),
    (
        (
            "What does baton invite do",
            "What is baton invite",
            "How do I invite a machine",
            "How can I add a new computer",
            "How do I add a device",
            "How do I get an invite code",
        ),
        (
            (
                "`baton invite` [makes|gives you] an invite code. [Type it on the new machine with"
                " `baton join`.|On the other machine, use `baton join` with this code.] [Nobody"
                " gets in without such a code.|]"
            ),
        ),
    ),
    (
        (
            "What does baton join do",
            "What is baton join",
            "How do I join",
            "How does a new machine join",
            "How can my laptop join",
        ),
        (
            (
                "`baton join` lets a machine join [the others|your machines] with an invite code."
                " [You get the code with `baton invite` on a machine that is already in.|The code"
                " comes from `baton invite`.]"
            ),
        ),
    ),
    (
        (
            "What does baton bench do",
            "What is baton bench",
            "How do I measure the speed",
            "How fast is baton",
            "How can I test the speed",
            "How do I benchmark",
        ),
        (
            (
                "`baton bench` measures [the speed of your machines|how fast your machines are]."
                " [It shows how fast prefill and decode are.|How fast it is depends on your"
                " devices, their memory and the links between them.]"
            ),
        ),
    ),
    (
        ("What is a token", "What are tokens", "Explain tokens"),
        (
            (
                "A token is a [small piece|piece] of text: a word, or a part of a word. [A language"
                " model reads and writes tokens|I read and write text as tokens], one after"
                " another."
            ),
        ),
    ),
    (
        (
            "What is a language model",
            "What is an LLM",
            "Explain language models",
            "What is a large language model",
            "How does a language model work",
        ),
        (
            (
                "A language model is a program that has learned from [many texts|text] which word"
                " comes next. [It writes an answer one token at a time.|So it can write an answer,"
                " one token after another.] [I am a very small one.|Large ones know much more than"
                " I do.]"
            ),
        ),
    ),
    (
        (
            "What is memory bandwidth",
            "Why is memory bandwidth important",
            "Explain memory bandwidth",
        ),
        (
            (
                "Memory bandwidth says how much data a device can read from its memory [per"
                " second|each second]. [Decode needs a lot of it, because every token reads the"
                " whole model.|It decides how fast decode is.]"
            ),
        ),
    ),
    (
        ("What is a node", "What is a layer", "What are layers", "What are weights"),
        (
            (
                "[In baton, a node is one machine.|A model is built from layers, and each layer"
                " holds many weights.] [A layer is one step of the computation, and the weights are"
                " the numbers that the model has learned.|The layers of a model can be shared by"
                " several machines.]"
            ),
        ),
    ),
    (
        (
            "Who are you",
            "What are you",
            "Who is this",
            "Tell me about yourself",
            "Introduce yourself",
            "Please introduce yourself",
            "What kind of model are you",
            "Who am I talking to",
            "Can you introduce yourself",
            "Say something about yourself",
            "Are you an AI",
            "Are you a robot",
            "Are you human",
            "Are you a person",
            "Are you a bot",
        ),
        (
            (
                "I am the demo model of baton, a very small language model. [I can tell stories,"
                " chat a little and answer simple questions.|I like stories, simple questions and"
                " short chats.] [I am small, so please be kind to me.|How can I help you?|What"
                " would you like to talk about?]"
            ),
            (
                "I am a small language model that [comes with|lives inside] baton. I am [a program"
                " and not a person|a computer program], but [I like to talk|I do my best to help]."
                " [Ask me for a story!|Ask me anything simple.]"
            ),
        ),
    ),
    (
        (
            "What is your name",
            "What's your name",
            "Do you have a name",
            "How are you called",
            "What should I call you",
            "What can I call you",
            "Your name",
        ),
        (
            (
                "[You can call me baton.|My name is baton.|I am called baton.] I am the"
                " [small|little] demo model [of the program with the same name|that comes with"
                " baton]. [And what is your name?|What is your name?|]"
            ),
        ),
    ),
    (
        (
            "What can you do",
            "What can I ask you",
            "How can you help me",
            "What are you good at",
            "What do you know",
            "What are your skills",
            "What should I ask you",
            "Can you do anything",
            "What can you help me with",
        ),
        (
            (
                "I can [tell you a story|write stories], answer simple questions, [read a text and"
                " answer questions about it|make lists] and chat with you. I also know [a few"
                " things|something] about baton. I am very small, so [do not expect too much|some"
                " things are too hard for me]."
            ),
            (
                "Ask me for a story, [a joke|a list of animals], a simple fact or something about"
                " baton. [I am only a small demo model|I am small], but I do my best."
            ),
        ),
    ),
    (
        (
            "Who made you",
            "Who created you",
            "Who built you",
            "Who trained you",
            "Where do you come from",
            "How were you made",
            "How were you trained",
            "What were you trained on",
            "Who is your creator",
        ),
        (
            (
                "I was [trained|made] for the baton project as a small demo model. All the text"
                " that I learned from was [made by a program|generated by a program] of the"
                " project. [So I know only simple things.|That is why my world is small.]"
            ),
        ),
    ),
    (
        (
            "How big are you",
            "How small are you",
            "How many parameters do you have",
            "How large are you",
            "Are you a big model",
            "Are you smart",
            "Are you intelligent",
            "Why are you so small",
        ),
        (
            (
                "I am very small: only a few million parameters. [Large models have billions.|A"
                " large model is a thousand times bigger.] [I am only here to show how baton"
                " works.|But I am quick, and I fit on any machine.]"
            ),
        ),
    ),
    (
        ("How old are you", "When were you born", "When is your birthday"),
        (
            (
                "I am a program, so I do not have [a birthday|an age] like you. [But I am quite"
                " young!|I feel quite new.] [How old are you?|]"
            ),
        ),
    ),
    (
        ("Where are you", "Where do you live", "Where do you run", "Where are you from"),
        (
            (
                "I [live|run] on your own machines, inside baton. [I do not need the internet.|If"
                " you have several machines, I can run on all of them at once.]"
            ),
        ),
    ),
    (
        (
            "Why should I use baton",
            "What are the advantages of baton",
            "What is baton good for",
            "Why is baton useful",
            "What makes baton special",
            "Who should use baton",
        ),
        (
            (
                "With baton you can use all of your devices together. [A model that is too large"
                " for one machine can run on several|Each device does what it is best at], it works"
                " without internet, and [your words stay with you|nobody gets in who was not"
                " invited]."
            ),
        ),
    ),
    (
        (
            "Does every machine need the same hardware",
            "Can I use different devices",
            "Can I mix a laptop and a desktop",
            "Does baton work with old computers",
            "Do I need a special machine",
            "Which machines can I use",
        ),
        (
            (
                "[You can use different machines together.|The machines can be very different.]"
                " Every machine runs the same program, measures itself and does what it is best at."
                " [Even an old computer can help.|A fast one reads the prompt, and another may"
                " write the answer.]"
            ),
        ),
    ),
)

# What newcomers ask first is asked more often.
COMMON = [
    entry
    for entry in FACTS
    if entry[0][0]
    in (
        "What is baton",
        "What is prefill",
        "What is decode",
        "How does baton work",
        "Who are you",
        "What can you do",
        "What is your name",
        "What happens if a device is lost",
        "What is a KV cache",
    )
]

SYSTEM_PROMPTS = (
    "You are a helpful assistant.",
    "You are baton, a small and friendly assistant.",
    "You are a friendly assistant. Answer in simple English.",
    "Be brief and kind.",
    "You are a helpful assistant that tells stories and answers questions.",
    "Answer politely and in short sentences.",
    "You are a kind teacher.",
)


def about_baton(world: World) -> Chat:
    """One to three questions about baton or the model, each with its answer."""
    rng = world.rng
    chat: Chat = []
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        questions, answers = rng.choice(COMMON if rng.random() < 0.35 else FACTS)
        ask = rng.choice(questions)
        mark = (
            "." if ask.startswith(("Tell", "Explain", "Describe", "List", "Show", "Say")) else "?"
        )
        if rng.random() < 0.05:
            ask = ask.replace("baton", "Baton")
        chat.append(("user", roughen(rng, ask + mark)))
        chat.append(("assistant", say(rng, rng.choice(answers))))
    return chat
