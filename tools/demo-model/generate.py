#!/usr/bin/env python3
"""Writes the training conversations: one JSON list of [role, text] pairs per line.

    python generate.py --out corpus.jsonl --chats 200000 --seed 1

Everything comes from the templates and word lists in the `corpus` package; nothing is downloaded.
"""

from __future__ import annotations

import argparse
import json
import random

from corpus import (
    baton,
    basics,
    copying,
    core,
    dictionary,
    everyday,
    facts,
    passages,
    reading,
    stories,
    talk,
    tasks,
    unknowns,
)

# (generator, weight)
MIX = (
    (stories.story, 40),
    (stories.given_story, 2),
    (reading.notes, 5),
    (passages.passage, 14),
    (basics.sums, 22),
    (basics.and_capitals, 9),
    (talk.small_talk, 15),
    (talk.introduction, 10),
    (talk.list_of_names, 1),
    (baton.about_baton, 13),
    (facts.knowledge, 13),
    (everyday.everyday, 12),
    (unknowns.unknown, 6),
    (unknowns.unknown_things, 7),
    (facts.how_to, 3),
    (facts.quiz, 7),
    (dictionary.definitions, 7),
    (tasks.task, 12),
    (copying.copying, 3),
)


def conversation(world: core.World, drill: float = 0.0) -> core.Chat:
    """One conversation: a main part, sometimes with a system prompt or a second part."""
    rng = world.rng
    if rng.random() < drill:
        return copying.copying(world)
    makers, weights = zip(*MIX)
    chat = rng.choices(makers, weights)[0](world)
    if len(chat) <= 4 and rng.random() < 0.15:
        chat = chat + rng.choices(makers, weights)[0](world)
    if rng.random() < 0.1:
        chat = [("system", rng.choice(baton.SYSTEM_PROMPTS))] + chat
    return chat


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", required=True)
    parser.add_argument("--chats", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--drill", type=float, default=0.0, help="share of copying drills")
    parser.add_argument(
        "--held-out", action="store_true", help="draw only names kept out of training"
    )
    args = parser.parse_args()
    world = core.World(random.Random(args.seed), training=not args.held_out)
    with open(args.out, "w", encoding="utf-8") as out:
        for _ in range(args.chats):
            out.write(json.dumps(conversation(world, args.drill), ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
