"""Runs the GGUF file with numpy alone: a check of the export, and the engine of eval.py."""

from __future__ import annotations

import gguf
import numpy as np
from gguf.quants import dequantize
from tokenizer import END


class Engine:
    """Reads every size from the file's metadata and keeps a KV cache for one conversation."""

    def __init__(self, path: str):
        reader = gguf.GGUFReader(path)
        self.weights = {
            t.name: dequantize(t.data, t.tensor_type).astype(np.float32) for t in reader.tensors
        }
        fields = {key: field.contents() for key, field in reader.fields.items()}
        self.fields = fields
        self.layers = fields["llama.block_count"]
        self.heads = fields["llama.attention.head_count"]
        self.kv_heads = fields["llama.attention.head_count_kv"]
        self.eps = fields["llama.attention.layer_norm_rms_epsilon"]
        rotated = fields["llama.rope.dimension_count"]
        self.frequencies = fields["llama.rope.freq_base"] ** -(np.arange(0, rotated, 2) / rotated)
        self.reset()

    def reset(self) -> None:
        """Forgets the conversation."""
        self.keys = [None] * self.layers
        self.values = [None] * self.layers
        self.length = 0

    def _norm(self, x: np.ndarray, name: str) -> np.ndarray:
        scale = np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + self.eps)
        return x / scale * self.weights[name]

    def _rotate(self, x: np.ndarray, angles: np.ndarray) -> np.ndarray:
        turned = np.empty_like(x)
        cos, sin = np.cos(angles)[:, None, :], np.sin(angles)[:, None, :]
        turned[..., 0::2] = x[..., 0::2] * cos - x[..., 1::2] * sin
        turned[..., 1::2] = x[..., 0::2] * sin + x[..., 1::2] * cos
        return turned

    def _attention(self, x: np.ndarray, layer: int, angles: np.ndarray) -> np.ndarray:
        name, count = f"blk.{layer}.attn_", len(x)
        q, k, v = (x @ self.weights[f"{name}{part}.weight"].T for part in "qkv")
        q = self._rotate(q.reshape(count, self.heads, -1), angles)
        k = self._rotate(k.reshape(count, self.kv_heads, -1), angles)
        v = v.reshape(count, self.kv_heads, -1)
        if self.keys[layer] is not None:
            k, v = np.concatenate((self.keys[layer], k)), np.concatenate((self.values[layer], v))
        self.keys[layer], self.values[layer] = k, v
        group = self.heads // self.kv_heads
        k, v = np.repeat(k, group, axis=1), np.repeat(v, group, axis=1)
        scores = np.einsum("qhd,khd->hqk", q, k) / np.sqrt(q.shape[-1])
        future = np.arange(len(k))[None, :] > self.length + np.arange(count)[:, None]
        scores = np.where(future, -np.inf, scores)
        scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
        scores /= scores.sum(axis=-1, keepdims=True)
        mixed = np.einsum("hqk,khd->qhd", scores, v).reshape(count, -1)
        return mixed @ self.weights[f"{name}output.weight"].T

    def feed(self, tokens: list[int]) -> np.ndarray:
        """Adds tokens to the conversation; returns the logits of the next one."""
        w = self.weights
        x = w["token_embd.weight"][tokens]
        angles = np.outer(self.length + np.arange(len(tokens)), self.frequencies)
        angles = angles.astype(np.float32)
        for layer in range(self.layers):
            x = x + self._attention(self._norm(x, f"blk.{layer}.attn_norm.weight"), layer, angles)
            y = self._norm(x, f"blk.{layer}.ffn_norm.weight")
            gate = y @ w[f"blk.{layer}.ffn_gate.weight"].T
            up = y @ w[f"blk.{layer}.ffn_up.weight"].T
            x = x + (gate / (1 + np.exp(-gate)) * up) @ w[f"blk.{layer}.ffn_down.weight"].T
        self.length += len(tokens)
        return w["token_embd.weight"] @ self._norm(x[-1], "output_norm.weight")

    def answer(
        self, prompt: list[int], temperature: float, rng: np.random.Generator, limit: int = 400
    ) -> list[int]:
        """Generates one turn; a temperature of zero is greedy."""
        self.reset()
        logits, tokens = self.feed(prompt), []
        while len(tokens) < limit:
            if temperature > 0:
                p = np.exp((logits - logits.max()) / temperature)
                token = int(rng.choice(len(p), p=p / p.sum()))
            else:
                token = int(logits.argmax())
            if token == END:
                break
            tokens.append(token)
            logits = self.feed([token])
        return tokens
