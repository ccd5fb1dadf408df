#!/usr/bin/env python3
"""Byte-level BPE tokenizer with the pre-tokenizer of Llama 3, and the chat layout.

python tokenizer.py --corpus corpus.jsonl --out tokenizer.json
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

VOCAB_SIZE = 4096
SPECIAL = ("<|bos|>", "<|system|>", "<|user|>", "<|assistant|>", "<|end|>")
BOS, SYSTEM, USER, ASSISTANT, END = range(len(SPECIAL))
ROLES = {"system": SYSTEM, "user": USER, "assistant": ASSISTANT}

# The expression that GGUF calls "llama-bpe".
LLAMA_BPE = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|"
    r"\s*[\r\n]+|\s+(?!\S)|\s+"
)

CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{{ '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)


def read_chats(path: str) -> Iterator[list[tuple[str, str]]]:
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def train(corpus: str) -> Tokenizer:
    """Learns the merges from all messages of a corpus."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(LLAMA_BPE), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCAB_SIZE,
        special_tokens=list(SPECIAL),
        show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    tokenizer.train_from_iterator(
        (text for chat in read_chats(corpus) for _, text in chat), trainer
    )
    return tokenizer


def unreachable(tokenizer: Tokenizer) -> list[str]:
    """Vocabulary words that the merges do not produce from their own text (there must be none)."""
    bad = []
    for word, index in tokenizer.get_vocab().items():
        if index >= len(SPECIAL) and [t.id for t in tokenizer.model.tokenize(word)] != [index]:
            bad.append(word)
    return bad


def encode_chats(tokenizer: Tokenizer, chats: list) -> Iterator[tuple[list[int], list[bool]]]:
    """Token ids of whole conversations, and which of them the assistant has to produce."""
    texts = [text for chat in chats for _, text in chat]
    encoded = iter(tokenizer.encode_batch_fast(texts, add_special_tokens=False))
    for chat in chats:
        ids, mask = [BOS], [False]
        for role, _ in chat:
            body = next(encoded).ids + [END]
            ids += [ROLES[role], *body]
            mask += [False] + [role == "assistant"] * len(body)
        yield ids, mask


def encode_prompt(tokenizer: Tokenizer, chat: list[tuple[str, str]]) -> list[int]:
    """Token ids of a conversation, ready for the assistant's next answer."""
    ids, _ = next(encode_chats(tokenizer, [chat]))
    return [*ids, ASSISTANT]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", required=True)
    parser.add_argument("--out", required=True)
    args = parser.parse_args()
    tokenizer = train(args.corpus)
    bad = unreachable(tokenizer)
    if bad:
        raise SystemExit(f"unreachable vocabulary words: {bad}")
    tokenizer.save(args.out)
    print(f"{tokenizer.get_vocab_size()} tokens -> {args.out}")


if __name__ == "__main__":
    main()
