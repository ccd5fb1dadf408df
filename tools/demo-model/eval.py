#!/usr/bin/env python3
"""Prints the model's answers to prompts whose names and things it has never seen.

python eval.py --model baton-demo.gguf --tokenizer tokenizer.json
python eval.py ... --prompt "Tell me a story about a tea cosy called Ferdi."
python eval.py ... --reading 100      # share of right answers to generated reading tasks
"""

from __future__ import annotations

import argparse
import random

import numpy as np
from corpus import core, reading
from infer import Engine
from tokenizer import encode_prompt
from tokenizers import Tokenizer

# Each entry is one conversation; the model answers every line in turn.
PROMPTS = (
    ("Hello!", "How are you?", "Can you help me?"),
    ("My name is Quentin. Hello!", "What is baton?", "What is my name?"),
    ("Who are you?",),
    ("Why is the sky blue?",),
    ("What is prefill?", "And what is decode?"),
    (
        "Tell me a story about a dragon called Zorvik and a teapot.",
        "Who was the hero of the story?",
    ),
    ("tell me a short story about two frogs and a xylophone",),
    ("Write a story about Bartholomew the lighthouse keeper and a walrus named Pim.",),
    ("I have a ferret named Muffintop.", "What is the name of my pet?"),
    ("What do you know about submarines?",),
    ("Can you explain photosynthesis to me?",),
    ("What is the capital of France?", "What is 7 plus 5?"),
    ("Give me three tips for learning to juggle.",),
    ("Write a poem about my toothbrush.",),
    ("i am sad because my goldfish died",),
    ("Make a list: Wilhelmina, trombone, Zanzibar, cardigan",),
    ("Which machine computes the prompt?", "What happens if I unplug one of my computers?"),
    ("Do you like marmalade?", "Tell me a joke."),
    ("Write a birthday card for Ottoline.",),
    ("Write a story about a spaceship captain called Brunhilde who loses her hat.",),
    ("What is the largest animal?", "Thanks! Goodbye."),
    (
        (
            "Kwabena lives in a green house. Ulrike lives in a pink house. Pietro has a dog called"
            " Schnitzel. Who lives in the pink house?"
        ),
        "What is the dog of Pietro called?",
    ),
    ("How do I get to the station?",),
    ("asdf",),
    ("What is the difference between prefill and decode?",),
)


def converse(
    engine: Engine,
    tokenizer: Tokenizer,
    turns: tuple[str, ...],
    temperature: float,
    rng: np.random.Generator,
) -> None:
    """Plays one conversation and prints it."""
    chat: list[tuple[str, str]] = []
    for turn in turns:
        chat.append(("user", turn))
        tokens = engine.answer(encode_prompt(tokenizer, chat), temperature, rng)
        chat.append(("assistant", tokenizer.decode(tokens)))
        print(f">>> {turn}\n{chat[-1][1]}\n")
    print("-" * 80)


def reading_score(engine: Engine, tokenizer: Tokenizer, count: int) -> None:
    """Asks questions about generated notes with unseen names and compares with the truth."""
    world = core.World(random.Random(42), training=False)
    rng = np.random.default_rng(0)
    right, lengths = 0, []
    for _ in range(count):
        chat = reading.notes(world)[:2]
        prompt = encode_prompt(tokenizer, chat[:1])
        answer = tokenizer.decode(engine.answer(prompt, 0.0, rng, 60))
        lengths.append(len(prompt))
        right += answer == chat[1][1]
        if answer != chat[1][1]:
            print(f"{len(prompt):4} tokens, expected: {chat[1][1]}  got: {answer}")
    print(f"{right} of {count} word for word; prompts of {np.mean(lengths):.0f} tokens on average")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True)
    parser.add_argument("--tokenizer", required=True)
    parser.add_argument("--temperature", type=float, default=0.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--prompt", action="append", help="ask this instead (several: turns)")
    parser.add_argument("--reading", type=int, help="score this many generated reading tasks")
    args = parser.parse_args()
    engine, tokenizer = Engine(args.model), Tokenizer.from_file(args.tokenizer)
    if args.reading:
        reading_score(engine, tokenizer, args.reading)
        return
    rng = np.random.default_rng(args.seed)
    for turns in [tuple(args.prompt)] if args.prompt else PROMPTS:
        converse(engine, tokenizer, turns, args.temperature, rng)


if __name__ == "__main__":
    main()
