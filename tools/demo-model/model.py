"""A plain llama-architecture transformer, small enough to train on two CPU cores.

RMSNorm, grouped-query attention, SwiGLU, no biases, tied embeddings. The rotary embedding turns
*neighbouring* pairs (x0, x1), (x2, x3), ... - the layout that GGUF's "llama" architecture expects -
so the exporter writes the query and key matrices exactly as they are trained.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import torch
import torch.nn.functional as F
from torch import nn


@dataclass(frozen=True)
class Config:
    """Shape of the network. Every matrix dimension is a multiple of 256."""

    vocab: int = 4096
    width: int = 256
    layers: int = 6
    heads: int = 4
    kv_heads: int = 2
    hidden: int = 768
    context: int = 1024
    rope_base: float = 10000.0
    norm_eps: float = 1e-5

    @property
    def head_width(self) -> int:
        return self.width // self.heads

    def as_dict(self) -> dict:
        return asdict(self)


class RMSNorm(nn.Module):
    """Scales a vector to unit root-mean-square, then by a learned gain."""

    def __init__(self, width: int, eps: float):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = x.float()
        y = y * torch.rsqrt(y.square().mean(-1, keepdim=True) + self.eps)
        return (y * self.weight).to(x.dtype)


def rope_table(config: Config) -> torch.Tensor:
    """Returns cosines and sines, shape [2, context, head_width / 2]."""
    half = torch.arange(0, config.head_width, 2).float() / config.head_width
    angles = torch.outer(torch.arange(config.context).float(), config.rope_base**-half)
    return torch.stack((angles.cos(), angles.sin()))


def rotate(x: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
    """Applies the rotary embedding to x, shape [batch, time, heads, head_width]."""
    cos, sin = table[0][:, None, :], table[1][:, None, :]
    even, odd = x.float().unflatten(-1, (-1, 2)).unbind(-1)
    turned = torch.stack((even * cos - odd * sin, even * sin + odd * cos), dim=-1)
    return turned.flatten(-2).to(x.dtype)


def future(time: int, device: torch.device) -> torch.Tensor:
    """True where a key comes after its query."""
    return torch.ones(time, time, dtype=torch.bool, device=device).triu(1)


class Block(nn.Module):
    """One transformer layer: attention, then the gated feed-forward network."""

    def __init__(self, config: Config):
        super().__init__()
        width, kv_width = config.width, config.kv_heads * config.head_width
        self.config = config
        self.attn_norm = RMSNorm(width, config.norm_eps)
        self.attn_q = nn.Linear(width, width, bias=False)
        self.attn_k = nn.Linear(width, kv_width, bias=False)
        self.attn_v = nn.Linear(width, kv_width, bias=False)
        self.attn_output = nn.Linear(width, width, bias=False)
        self.ffn_norm = RMSNorm(width, config.norm_eps)
        self.ffn_gate = nn.Linear(width, config.hidden, bias=False)
        self.ffn_up = nn.Linear(width, config.hidden, bias=False)
        self.ffn_down = nn.Linear(config.hidden, width, bias=False)

    def forward(self, x: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
        c = self.config
        y = self.attn_norm(x)
        q = rotate(self.attn_q(y).unflatten(-1, (c.heads, c.head_width)), table)
        k = rotate(self.attn_k(y).unflatten(-1, (c.kv_heads, c.head_width)), table)
        v = self.attn_v(y).unflatten(-1, (c.kv_heads, c.head_width))
        group = c.heads // c.kv_heads
        k, v = (t.repeat_interleave(group, dim=2).transpose(1, 2) for t in (k, v))
        # Written out: on a CPU the fused attention is slow to differentiate in bfloat16.
        scores = q.transpose(1, 2) @ k.mT * c.head_width**-0.5
        scores = scores.float().masked_fill(future(x.shape[1], x.device), float("-inf"))
        attended = scores.softmax(-1).to(v.dtype) @ v
        x = x + self.attn_output(attended.transpose(1, 2).flatten(-2))
        y = self.ffn_norm(x)
        return x + self.ffn_down(F.silu(self.ffn_gate(y)) * self.ffn_up(y))


class Llama(nn.Module):
    """Token ids in, next-token logits out."""

    def __init__(self, config: Config):
        super().__init__()
        self.config = config
        self.token_embd = nn.Embedding(config.vocab, config.width)
        self.blk = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.output_norm = RMSNorm(config.width, config.norm_eps)
        self.register_buffer("rope", rope_table(config), persistent=False)
        self.reset()

    def reset(self) -> None:
        """Draws fresh weights; the matrices that write to the residual stream start at zero."""
        nn.init.normal_(self.token_embd.weight, std=0.02)
        for block in self.blk:
            for name, matrix in block.named_parameters():
                if matrix.dim() == 2:
                    nn.init.normal_(matrix, std=matrix.shape[1] ** -0.5)
                if name in ("attn_output.weight", "ffn_down.weight"):
                    nn.init.zeros_(matrix)

    def hidden_states(self, tokens: torch.Tensor) -> torch.Tensor:
        """Runs all layers; returns the normalised states, shape [batch, time, width]."""
        x = self.token_embd(tokens)
        table = self.rope[:, : tokens.shape[1]]
        for block in self.blk:
            x = block(x, table)
        return self.output_norm(x)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return F.linear(self.hidden_states(tokens), self.token_embd.weight)
