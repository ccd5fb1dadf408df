#!/usr/bin/env python3
"""Prints the model's answers to prompts whose names and things it has never seen.

python eval.py --model baton-demo.gguf --tokenizer tokenizer.json
python eval.py ... --prompt "Tell me a story about a tea cosy called Ferdi."
python eval.py ... --reading 100      # share of right answers to generated reading tasks
python eval.py ... --facts            # share of right sums, products and capitals
"""

from __future__ import annotations

import argparse
import pathlib
import random

import numpy as np
from corpus import basics, core, passages, reading
from infer import Engine
from tokenizer import encode_prompt
from tokenizers import Tokenizer


def read_prompts(path: pathlib.Path) -> list[tuple[str, ...]]:
    """One conversation per line; its turns stand between bars."""
    return [tuple(line.split(" | ")) for line in path.read_text(encoding="utf-8").splitlines()]


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
    for number in range(count):
        chat = (reading.notes, passages.passage)[number % 2](world)[:2]
        prompt = encode_prompt(tokenizer, chat[:1])
        answer = tokenizer.decode(engine.answer(prompt, 0.0, rng, 60))
        lengths.append(len(prompt))
        right += answer == chat[1][1]
        if answer != chat[1][1]:
            print(f"{len(prompt):4} tokens, expected: {chat[1][1]}  got: {answer}")
    print(f"{right} of {count} word for word; prompts of {np.mean(lengths):.0f} tokens on average")


def ask(engine: Engine, tokenizer: Tokenizer, question: str) -> str:
    """The model's most likely answer to a single question."""
    prompt = encode_prompt(tokenizer, [("user", question)])
    return tokenizer.decode(engine.answer(prompt, 0.0, np.random.default_rng(0), 60))


def facts_score(engine: Engine, tokenizer: Tokenizer) -> None:
    """Asks for all small sums, the tables up to ten times ten, and all capitals of the corpus."""
    questions = {
        "sums": [(f"What is {a} plus {b}?", f" is {a + b}.") for a in range(11) for b in range(11)],
        "tables": [
            (f"What is {a} times {b}?", f" is {a * b}.") for a in range(1, 11) for b in range(1, 11)
        ],
        "capitals": [
            (f"What is the capital of {country}?", city) for country, city, *_ in basics.COUNTRIES
        ],
    }
    for kind, pairs in questions.items():
        right = 0
        for question, expected in pairs:
            answer = ask(engine, tokenizer, question)
            right += expected in answer
            if expected not in answer:
                print(f"{question}  got: {answer}")
        print(f"{kind}: {right} of {len(pairs)} right")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True)
    parser.add_argument("--tokenizer", required=True)
    parser.add_argument("--temperature", type=float, default=0.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--prompt", action="append", help="ask this instead (several: turns)")
    parser.add_argument("--facts", action="store_true", help="score sums, tables and capitals")
    parser.add_argument("--reading", type=int, help="score this many generated reading tasks")
    args = parser.parse_args()
    engine, tokenizer = Engine(args.model), Tokenizer.from_file(args.tokenizer)
    if args.reading:
        reading_score(engine, tokenizer, args.reading)
        return
    if args.facts:
        facts_score(engine, tokenizer)
        return
    rng = np.random.default_rng(args.seed)
    prompts = read_prompts(pathlib.Path(__file__).with_name("prompts.txt"))
    for turns in [tuple(args.prompt)] if args.prompt else prompts:
        converse(engine, tokenizer, turns, args.temperature, rng)


if __name__ == "__main__":
    main()
