"""Writes the golden models of tests/golden: tiny random llamas as GGUF, with what transformers says.

Usage: python make_golden.py OUTPUT_FOLDER   (needs torch, transformers, gguf, numpy; see README.md)
"""

import contextlib
import json
import math
import pathlib
import sys

import gguf
import numpy
import torch
import transformers
from transformers.models.llama import modeling_llama

VOCABULARY_SIZE = 272
PROMPT_LENGTHS = (1, 7, 33, 130)
GREEDY_TOKENS = 48
MARGIN_MIN = 2e-3  # between the best and the second logit at every greedy step

BASE = dict(
    vocab_size=VOCABULARY_SIZE,
    max_position_embeddings=512,
    rms_norm_eps=1e-5,
    tie_word_embeddings=False,
    attn_implementation="eager",
)

MODELS = {
    "gqa-untied": dict(
        hidden_size=64, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2,
        intermediate_size=96),
    "tied-head64": dict(
        hidden_size=64, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1,
        head_dim=64, intermediate_size=64, tie_word_embeddings=True),
    "llama3-rope": dict(
        hidden_size=64, num_hidden_layers=4, num_attention_heads=4, num_key_value_heads=1,
        intermediate_size=64,
        rope_parameters=dict(rope_type="llama3", rope_theta=500000.0, factor=8.0,
                             low_freq_factor=1.0, high_freq_factor=4.0,
                             original_max_position_embeddings=64)),
    "biased-mha": dict(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=4,
        intermediate_size=96, attention_bias=True, mlp_bias=True),
    "linear-rope-head24": dict(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        head_dim=24, intermediate_size=64,
        rope_parameters=dict(rope_type="linear", rope_theta=10000.0, factor=4.0)),
}


def byte_characters():
    """The printable character that byte-level BPE uses for each byte."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [b for b in range(256) if b not in plain]
    return {**{b: chr(b) for b in plain}, **{b: chr(256 + i) for i, b in enumerate(others)}}


def vocabulary():
    """256 bytes, a few merges, and control tokens: enough to encode any text."""
    tokens = [byte_characters()[b] for b in range(256)]
    merges = ["Ġ t", "h e", "i n", "Ġt he", "e r", "o n", "r e", "Ġ a", "a n", "an d", "Ġa nd"]
    tokens += [merge.replace(" ", "") for merge in merges]
    kinds = [gguf.TokenType.NORMAL] * len(tokens)
    control = ["<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>", "<|start_header_id|>",
               "<|end_header_id|>"]
    tokens += control
    kinds += [gguf.TokenType.CONTROL] * len(control)
    assert len(tokens) == VOCABULARY_SIZE
    return tokens, kinds, merges


def make_model(overrides, seed):
    config = transformers.LlamaConfig(**{**BASE, **overrides})
    torch.manual_seed(seed)
    model = transformers.LlamaForCausalLM(config).float().eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.endswith("norm.weight"):
                weight.copy_(1 + 0.2 * torch.randn_like(weight))
            elif name.endswith("bias"):
                weight.copy_(0.3 * torch.randn_like(weight))
            elif "embed_tokens" in name:
                weight.copy_(torch.randn_like(weight))
            else:
                weight.copy_(1.5 / math.sqrt(weight.shape[1]) * torch.randn_like(weight))
    return model


def interleave(weight, heads):
    """GGUF turns adjacent pairs, transformers the two halves of a head: reorder the rows."""
    halves = weight.reshape(heads, 2, -1, *weight.shape[1:])
    return numpy.ascontiguousarray(numpy.swapaxes(halves, 1, 2).reshape(weight.shape))


def rope_divisors(model):
    """What the scaled frequencies divide the plain ones by."""
    config = model.config
    dimensions = config.head_dim
    plain = config.rope_parameters["rope_theta"] ** (
        -numpy.arange(0, dimensions, 2, dtype=numpy.float64) / dimensions)
    scaled = model.model.rotary_emb.inv_freq.numpy().astype(numpy.float64)
    return (plain / scaled).astype(numpy.float32)


LAYER_NAMES = {
    "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
TOP_NAMES = {
    "model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight",
    "lm_head.weight": "output.weight",
}


def gguf_tensor(name, value, config):
    if name in TOP_NAMES:
        return TOP_NAMES[name], value
    _, _, layer, rest = name.split(".", 3)
    part, kind = rest.rsplit(".", 1)
    if part == "self_attn.q_proj":
        value = interleave(value, config.num_attention_heads)
    if part == "self_attn.k_proj":
        value = interleave(value, config.num_key_value_heads)
    return f"blk.{layer}.{LAYER_NAMES[part]}.{kind}", value


def write_metadata(writer, name, config):
    writer.add_name(name)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_vocab_size(config.vocab_size)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    if config.head_dim * config.num_attention_heads != config.hidden_size:
        writer.add_key_length(config.head_dim)
        writer.add_value_length(config.head_dim)
    if config.rope_parameters["rope_type"] == "linear":
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(config.rope_parameters["factor"])


def write_vocabulary(writer):
    tokens, kinds, merges = vocabulary()
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("llama-bpe")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges(merges)
    writer.add_bos_token_id(tokens.index("<|begin_of_text|>"))
    writer.add_eos_token_id(tokens.index("<|eot_id|>"))


def write_gguf(path, name, model):
    writer = gguf.GGUFWriter(path, "llama")
    write_metadata(writer, name, model.config)
    write_vocabulary(writer)
    if model.config.rope_parameters["rope_type"] == "llama3":
        writer.add_tensor("rope_freqs.weight", rope_divisors(model))
    tensors = dict(model.named_parameters())  # a tied head appears once
    for hf_name, parameter in tensors.items():
        writer.add_tensor(*gguf_tensor(hf_name, parameter.detach().numpy(), model.config))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def continue_greedily(model, prompt):
    """The greedy tokens and the smallest margin on the way."""
    tokens, margin = list(prompt), math.inf
    with torch.no_grad():
        for _ in range(GREEDY_TOKENS):
            logits = model(torch.tensor([tokens])).logits[0, -1]
            best = torch.topk(logits, 2).values
            margin = min(margin, float(best[0] - best[1]))
            tokens.append(int(torch.argmax(logits)))
    return tokens[len(prompt):], margin


@contextlib.contextmanager
def half_precision_kv():
    """Attention reads keys and values as a KV cache in F16 holds them."""
    plain = modeling_llama.eager_attention_forward

    def rounded(module, query, key, value, *rest, **options):
        return plain(module, query, key.half().float(), value.half().float(), *rest, **options)

    modeling_llama.eager_attention_forward = rounded
    try:
        yield
    finally:
        modeling_llama.eager_attention_forward = plain


def last_logits(model, tokens):
    with torch.no_grad():
        return [float(x) for x in model(torch.tensor([tokens])).logits[0, -1]]


def make_cases(model, seed):
    cases = []
    random = numpy.random.default_rng(seed)
    for length in PROMPT_LENGTHS:
        margin = 0
        while margin < MARGIN_MIN:
            prompt = [int(t) for t in random.integers(0, VOCABULARY_SIZE, length)]
            greedy, margin = continue_greedily(model, prompt)
        with half_precision_kv():
            rounded = last_logits(model, prompt)
        cases.append(dict(prompt=prompt, logits=last_logits(model, prompt), logits_f16_kv=rounded,
                          greedy=greedy, margin_min=margin))
    return cases


def main(folder):
    folder.mkdir(parents=True, exist_ok=True)
    for seed, (name, overrides) in enumerate(MODELS.items()):
        model = make_model(overrides, seed)
        write_gguf(folder / f"{name}.gguf", name, model)
        cases = make_cases(model, seed)
        golden = dict(model=f"{name}.gguf", transformers=transformers.__version__, cases=cases)
        (folder / f"{name}.json").write_text(json.dumps(golden) + "\n")
        distinct = [len(set(case["greedy"])) for case in cases]
        print(name, "distinct greedy tokens:", distinct,
              "margins:", [round(case["margin_min"], 4) for case in cases])


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
