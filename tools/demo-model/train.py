#!/usr/bin/env python3
"""Trains the demo model on a few CPU cores, against the clock rather than for a number of steps.

    python train.py --corpus corpus.jsonl --tokenizer tokenizer.json --checkpoint model.pt \\
        --minutes 90

The heavy arithmetic runs in bfloat16, which is three times as fast as float32 on a processor that
has the instructions for it; the weights themselves stay in float32. Matrices are trained with Muon, embeddings and norms with AdamW. The learning rate warms up, stays
constant and falls to zero over the last part of the time. Only the assistant's tokens count for the
loss. A checkpoint is written every few minutes, and a run resumes from it if it exists.
"""

from __future__ import annotations

import argparse
import math
import os
import random
import signal
import time
from itertools import islice

import gguf
import numpy as np
import torch
import torch.nn.functional as F
from gguf.quants import dequantize
from model import Config, Llama
from tokenizer import encode_chats, read_chats
from tokenizers import Tokenizer

BUCKETS = (72, 112, 160, 232, 352, 560, 1024)
MUON_RATE = 0.02
ADAM_RATE = 0.004
WARM_UP_STEPS = 60
AVERAGE_DECAY = 0.995


class Conversations:
    """Encoded conversations in memory, drawn in batches of similar length."""

    def __init__(self, paths: list[str], tokenizer: Tokenizer, batch_tokens: int, seed: int):
        self.batch_tokens = batch_tokens
        self.rng = random.Random(seed)
        self.rows: dict[int, list[tuple[np.ndarray, np.ndarray]]] = {size: [] for size in BUCKETS}
        for path in paths:
            chats = read_chats(path)
            while chunk := list(islice(chats, 20_000)):
                for ids, mask in encode_chats(tokenizer, chunk):
                    self._keep(np.array(ids, np.int16), np.array(mask, bool))
        self.tokens = sum(len(ids) for rows in self.rows.values() for ids, _ in rows)

    def _keep(self, ids: np.ndarray, mask: np.ndarray) -> None:
        for size in BUCKETS:
            if len(ids) <= size + 1:
                self.rows[size].append((ids, mask))
                return

    def _plan(self) -> list[tuple[int, list]]:
        """Cuts every bucket into batches, and shuffles the batches of all buckets."""
        batches = []
        for size, rows in self.rows.items():
            self.rng.shuffle(rows)
            count = max(1, self.batch_tokens // size)
            batches += [(size, rows[i : i + count]) for i in range(0, len(rows) - count + 1, count)]
        self.rng.shuffle(batches)
        return batches

    def __iter__(self):
        """Yields (inputs, targets, mask) without end."""
        while True:
            for size, rows in self._plan():
                ids = torch.zeros(len(rows), size + 1, dtype=torch.long)
                mask = torch.zeros(len(rows), size + 1, dtype=torch.bool)
                for row, (row_ids, row_mask) in enumerate(rows):
                    ids[row, : len(row_ids)] = torch.from_numpy(row_ids)
                    mask[row, : len(row_mask)] = torch.from_numpy(row_mask)
                yield ids[:, :-1], ids[:, 1:], mask[:, 1:]


class Muon(torch.optim.Optimizer):
    """Momentum whose update is orthogonalised by a Newton-Schulz iteration."""

    def __init__(self, matrices: list[torch.nn.Parameter], lr: float, momentum: float = 0.95):
        super().__init__(matrices, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            shapes: dict[torch.Size, list] = {}
            for matrix in group["params"]:
                shapes.setdefault(matrix.shape, []).append(matrix)
            for shape, matrices in shapes.items():
                updates = []
                for matrix in matrices:
                    state = self.state[matrix]
                    speed = state.setdefault("momentum", torch.zeros_like(matrix))
                    speed.lerp_(matrix.grad, 1 - group["momentum"])
                    updates.append(matrix.grad.lerp(speed, group["momentum"]))
                scale = group["lr"] * max(1.0, shape[0] / shape[1]) ** 0.5
                for matrix, update in zip(matrices, orthogonal(torch.stack(updates))):
                    matrix.mul_(1 - 0.01 * group["lr"]).add_(update, alpha=-scale)


def orthogonal(matrices: torch.Tensor, steps: int = 5) -> torch.Tensor:
    """Pushes the singular values of each matrix of a stack towards one."""
    tall = matrices.shape[-2] > matrices.shape[-1]
    x = matrices.mT if tall else matrices
    x = (x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)).bfloat16()
    for _ in range(steps):
        gram = x @ x.mT
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    return (x.mT if tall else x).float()


def masked_loss(model: Llama, states, tokens, targets, mask) -> torch.Tensor:
    """Cross-entropy on the masked positions only, which saves most of the output projection."""
    with torch.autocast("cpu", torch.bfloat16):
        hidden = states(tokens)[mask]
        logits = F.linear(hidden, model.token_embd.weight)
    return F.cross_entropy(logits.float(), targets[mask])


def read_gguf(path: str) -> dict[str, torch.Tensor]:
    """The weights of an exported model, to train it further without its checkpoint."""
    tensors = gguf.GGUFReader(path).tensors
    return {t.name: torch.tensor(dequantize(t.data, t.tensor_type)) for t in tensors}


class Trainer:
    """Model, optimisers, running average of the weights, and the clock."""

    def __init__(self, config: Config, args: argparse.Namespace):
        torch.manual_seed(args.seed)
        self.args = args
        self.model = Llama(config)
        if args.start:
            self.model.load_state_dict(read_gguf(args.start))
        parameters = list(self.model.parameters())
        matrices = [p for p in self.model.blk.parameters() if p.dim() == 2]
        others = [p for p in parameters if all(p is not m for m in matrices)]
        self.optimizers = (
            Muon(matrices, MUON_RATE),
            torch.optim.AdamW(others, ADAM_RATE, (0.9, 0.95), weight_decay=0.0),
        )
        self.rates = (MUON_RATE, ADAM_RATE)
        self.average = {k: v.clone() for k, v in self.model.state_dict().items()}
        self.step = self.tokens = 0
        self.seconds = 0.0
        if os.path.exists(args.checkpoint):
            self.load()

    def load(self) -> None:
        saved = torch.load(self.args.checkpoint)
        self.model.load_state_dict(saved["model"])
        for optimizer, state in zip(self.optimizers, saved["optimizers"]):
            optimizer.load_state_dict(state)
        self.average = saved["average"]
        self.step, self.tokens, self.seconds = saved["step"], saved["tokens"], saved["seconds"]

    def save(self) -> None:
        state = {
            "config": self.model.config.as_dict(),
            "model": self.model.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "average": self.average,
            "step": self.step,
            "tokens": self.tokens,
            "seconds": self.seconds,
        }
        torch.save(state, self.args.checkpoint + ".new")
        os.replace(self.args.checkpoint + ".new", self.args.checkpoint)

    def run(self, batches) -> None:
        """Trains until the time is over or the process is asked to stop; saves in both cases."""
        start = last_save = time.time()
        deadline = start + 60 * self.args.minutes
        seconds_before, losses = self.seconds, []
        stopped: list[int] = []
        signal.signal(signal.SIGTERM, lambda number, _: stopped.append(number))
        states = torch.compile(self.model.hidden_states, dynamic=False)
        for tokens, targets, mask in batches:
            now = time.time()
            if now >= deadline or stopped:
                break
            decay = min(1.0, (deadline - now) / max(60 * self.args.decay_minutes, 1e-9))
            warm = min(1.0, (self.step + 1) / WARM_UP_STEPS)
            for optimizer, rate in zip(self.optimizers, self.rates):
                for group in optimizer.param_groups:
                    group["lr"] = self.args.rate * rate * decay * warm
            loss = masked_loss(self.model, states, tokens, targets, mask)
            loss.backward()
            for optimizer in self.optimizers:
                optimizer.step()
                optimizer.zero_grad()
            self.step += 1
            self.tokens += tokens.numel()
            self.seconds = seconds_before + time.time() - start
            for name, value in self.model.state_dict().items():
                self.average[name].lerp_(
                    value, 1 - min(AVERAGE_DECAY, self.step / (self.step + 10))
                )
            losses.append(loss.item())
            if self.step % 20 == 0:
                print(
                    f"step {self.step} loss {np.mean(losses[-20:]):.4f} "
                    f"Mtok {self.tokens / 1e6:.2f} rate {decay * warm:.3f} "
                    f"{tokens.numel() / (time.time() - now):.0f} tok/s",
                    flush=True,
                )
            if math.isnan(losses[-1]):
                raise SystemExit("the loss is not a number")
            if time.time() - last_save > 180:
                self.save()
                last_save = time.time()
        self.save()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", nargs="+", required=True)
    parser.add_argument("--tokenizer", required=True)
    parser.add_argument("--checkpoint", required=True)
    parser.add_argument("--start", help="a GGUF file whose weights to begin with")
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--decay-minutes", type=float, default=30)
    parser.add_argument("--rate", type=float, default=1.0, help="scales both learning rates")
    parser.add_argument("--batch-tokens", type=int, default=4096)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch._dynamo.config.cache_size_limit = 2 * len(BUCKETS)
    data = Conversations(
        args.corpus, Tokenizer.from_file(args.tokenizer), args.batch_tokens, args.seed
    )
    print(f"{data.tokens / 1e6:.1f} million tokens", flush=True)
    Trainer(Config(), args).run(data)


if __name__ == "__main__":
    main()
