"""Writes the golden models of tests/golden: tiny random models as GGUF, with what transformers says.

Usage: python make_golden.py OUTPUT_FOLDER [MODEL...]   (needs torch, transformers, gguf, numpy; see README.md)
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

VOCABULARY_SIZE = 272
PROMPT_LENGTHS = (1, 7, 33, 130)
GREEDY_TOKENS = 48
MARGIN_MIN = 2e-3  # between the best and the second logit at every greedy step
ROUNDING_MAX = 8e-4  # relative, of what a KV cache in F16 does to the logits: no expert is another

BASE = dict(
    vocab_size=VOCABULARY_SIZE,
    max_position_embeddings=512,
    rms_norm_eps=1e-5,
    tie_word_embeddings=False,
    attn_implementation="eager",
)

# The class of transformers, and what GGUF calls its architecture.
ARCHITECTURES = {"Llama": "llama", "Mistral": "llama", "Mixtral": "llama", "Qwen2": "qwen2", "Qwen3": "qwen3",
                 "Qwen3Moe": "qwen3moe", "Phi3": "phi3", "Gemma2": "gemma2", "Gemma3": "gemma3",
                 "GptOss": "gpt-oss", "DeepseekV2": "deepseek2", "DeepseekV3": "deepseek2"}
CONFIGS = {"Gemma3": "Gemma3TextConfig"}  # where it is not the family's name with Config

# Llamas, unless they say otherwise.
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
    "qwen2": dict(
        family="Qwen2", hidden_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, intermediate_size=96, tie_word_embeddings=True),
    "qwen2-yarn": dict(
        family="Qwen2", hidden_size=64, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, intermediate_size=64,
        rope_parameters=dict(rope_type="yarn", rope_theta=1000000.0, factor=4.0,
                             original_max_position_embeddings=64)),
    "qwen3": dict(
        family="Qwen3", hidden_size=48, num_hidden_layers=3, num_attention_heads=4,
        num_key_value_heads=2, head_dim=32, intermediate_size=80),
    "qwen3moe": dict(
        family="Qwen3Moe", hidden_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, head_dim=32, intermediate_size=96, moe_intermediate_size=32,
        num_experts=8, num_experts_per_tok=3, norm_topk_prob=True),
    "mixtral": dict(
        family="Mixtral", hidden_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, intermediate_size=48, num_local_experts=4, num_experts_per_tok=2),
    "mistral-window": dict(
        family="Mistral", hidden_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, head_dim=24, intermediate_size=96, sliding_window=40),
    "phi3": dict(
        family="Phi3", hidden_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, intermediate_size=80, partial_rotary_factor=0.75,
        sliding_window=60, pad_token_id=0),
    "gemma2": dict(
        family="Gemma2", hidden_size=64, num_hidden_layers=4, num_attention_heads=4,
        num_key_value_heads=2, head_dim=32, intermediate_size=96, sliding_window=40,
        query_pre_attn_scalar=24, attn_logit_softcapping=4.0, final_logit_softcapping=1.5,
        tie_word_embeddings=True),
    "gemma3": dict(
        family="Gemma3", hidden_size=32, num_hidden_layers=7, num_attention_heads=4,
        num_key_value_heads=1, head_dim=32, intermediate_size=64, sliding_window=36,
        query_pre_attn_scalar=32, tie_word_embeddings=True,
        rope_parameters=dict(
            sliding_attention=dict(rope_type="default", rope_theta=10000.0),
            full_attention=dict(rope_type="linear", rope_theta=1000000.0, factor=8.0))),
    "gpt-oss": dict(
        family="GptOss", hidden_size=64, num_hidden_layers=3, num_attention_heads=4,
        num_key_value_heads=2, head_dim=32, intermediate_size=32, num_local_experts=6,
        num_experts_per_tok=3, sliding_window=40,
        rope_parameters=dict(rope_type="yarn", rope_theta=150000.0, factor=8.0, beta_fast=32.0,
                             beta_slow=1.0, truncate=False, original_max_position_embeddings=64)),
    "deepseek2-lite": dict(
        family="DeepseekV2", hidden_size=64, num_hidden_layers=3, num_attention_heads=4,
        num_key_value_heads=4, intermediate_size=80, moe_intermediate_size=24, q_lora_rank=None,
        kv_lora_rank=32, qk_nope_head_dim=24, qk_rope_head_dim=16, v_head_dim=20,
        n_routed_experts=6, n_shared_experts=2, num_experts_per_tok=2, first_k_dense_replace=1,
        topk_method="greedy", routed_scaling_factor=1.0, rms_norm_eps=1e-6,
        rope_parameters=dict(rope_type="yarn", rope_theta=10000.0, factor=8.0, beta_fast=32,
                             beta_slow=1, mscale=0.707, mscale_all_dim=0.707,
                             original_max_position_embeddings=64)),
    "deepseek2": dict(
        family="DeepseekV2", hidden_size=64, num_hidden_layers=3, num_attention_heads=8,
        num_key_value_heads=8, intermediate_size=80, moe_intermediate_size=24, q_lora_rank=40,
        kv_lora_rank=32, qk_nope_head_dim=16, qk_rope_head_dim=32, v_head_dim=24, hidden_act="silu",
        n_routed_experts=8, n_shared_experts=1, num_experts_per_tok=3, first_k_dense_replace=1,
        topk_method="group_limited_greedy", n_group=4, topk_group=2, routed_scaling_factor=2.5,
        rms_norm_eps=1e-6),
    "deepseek3": dict(
        family="DeepseekV3", hidden_size=64, num_hidden_layers=4, num_attention_heads=4,
        num_key_value_heads=4, intermediate_size=80, moe_intermediate_size=24, q_lora_rank=24,
        kv_lora_rank=40, qk_nope_head_dim=16, qk_rope_head_dim=16, v_head_dim=16,
        n_routed_experts=8, n_shared_experts=1, num_experts_per_tok=3, first_k_dense_replace=1,
        n_group=4, topk_group=2, norm_topk_prob=True, routed_scaling_factor=2.5, num_mtp_layers=0,
        rms_norm_eps=1e-6,
        rope_parameters=dict(rope_type="yarn", rope_theta=10000.0, factor=40.0, beta_fast=32,
                             beta_slow=1, mscale=1.0, mscale_all_dim=1.0,
                             original_max_position_embeddings=32)),
    "phi3-long": dict(
        family="Phi3", hidden_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, intermediate_size=80, partial_rotary_factor=0.75,
        original_max_position_embeddings=64, pad_token_id=0, sliding_window=400,
        rope_parameters=dict(rope_type="longrope", rope_theta=10000.0, partial_rotary_factor=0.75,
                             original_max_position_embeddings=64,
                             short_factor=[1.0, 1.0, 1.05, 1.1, 1.2, 1.4],
                             long_factor=[1.1, 1.5, 2.5, 4.0, 6.0, 7.5])),
}
# As converters wrote them before they cut kv_b into the matrices of heads.
WITH_KV_B = {"deepseek2-lite"}


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


def make_model(family, overrides, seed):
    config = getattr(transformers, CONFIGS.get(family, f"{family}Config"))(**{**BASE, **overrides})
    torch.manual_seed(seed)
    model = getattr(transformers, f"{family}ForCausalLM")(config).float().eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.endswith(("norm.weight", "layernorm.weight")):
                weight.copy_((0 if family.startswith("Gemma") else 1) + 0.2 * torch.randn_like(weight))
            elif name.endswith("bias"):
                weight.copy_(0.3 * torch.randn_like(weight))
            elif name.endswith("sinks"):
                weight.copy_(torch.randn_like(weight))
            elif "embed_tokens" in name:  # Gemma's are multiplied by the root of the width, and tied
                scale = 0.3 * config.hidden_size ** -0.5 if family.startswith("Gemma") else 1
                weight.copy_(scale * torch.randn_like(weight))
            elif family == "GptOss" and weight.dim() == 3:  # inputs x outputs; some gates are clamped
                gain = 3 if "gate_up" in name else 0.5
                weight.copy_(gain / math.sqrt(weight.shape[-2]) * torch.randn_like(weight))
            else:
                weight.copy_(1.5 / math.sqrt(weight.shape[-1]) * torch.randn_like(weight))
        for name, weight in model.named_buffers():
            if name.endswith("e_score_correction_bias"):
                weight.copy_(0.2 * torch.randn_like(weight))
    return model


def interleave(weight, heads):
    """GGUF's llama turns adjacent pairs, transformers the two halves of a head: reorder the rows."""
    halves = weight.reshape(heads, 2, -1, *weight.shape[1:])
    return numpy.ascontiguousarray(numpy.swapaxes(halves, 1, 2).reshape(weight.shape))


def head_dim(config):
    return getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads


def rope_divisors(model):
    """What the scaled frequencies divide the plain ones by."""
    config = model.config
    dimensions = head_dim(config)
    plain = config.rope_parameters["rope_theta"] ** (
        -numpy.arange(0, dimensions, 2, dtype=numpy.float64) / dimensions)
    scaled = model.model.rotary_emb.inv_freq.numpy().astype(numpy.float64)
    return (plain / scaled).astype(numpy.float32)


LAYER_NAMES = {
    "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down", "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm", "self_attn.qkv_proj": "attn_qkv",
    "mlp.gate_up_proj": "ffn_up", "mlp.gate": "ffn_gate_inp",
}
TOP_NAMES = {
    "model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight",
    "lm_head.weight": "output.weight",
}


POST_NORMS = {"post_attention_layernorm": "post_attention_norm"}
GEMMA_NAMES = {**POST_NORMS, "pre_feedforward_layernorm": "ffn_norm",
               "post_feedforward_layernorm": "post_ffw_norm"}
GPT_OSS_NAMES = {**POST_NORMS, "mlp.router": "ffn_gate_inp"}
DEEPSEEK_NAMES = {
    "self_attn.q_a_proj": "attn_q_a", "self_attn.q_a_layernorm": "attn_q_a_norm",
    "self_attn.q_b_proj": "attn_q_b", "self_attn.kv_a_proj_with_mqa": "attn_kv_a_mqa",
    "self_attn.kv_a_layernorm": "attn_kv_a_norm", "self_attn.kv_b_proj": "attn_kv_b",
    "mlp.shared_experts.gate_proj": "ffn_gate_shexp", "mlp.shared_experts.up_proj": "ffn_up_shexp",
    "mlp.shared_experts.down_proj": "ffn_down_shexp"}
OWN_NAMES = {"gemma2": GEMMA_NAMES, "gemma3": GEMMA_NAMES, "gpt-oss": GPT_OSS_NAMES,
             "deepseek2": DEEPSEEK_NAMES}


def gpt_oss_experts(layer, name, value):
    """Gate and up alternate, matrices are inputs x outputs, biases a vector per expert."""
    kind = "bias" if name.endswith("bias") else "weight"
    if kind == "weight":
        value = numpy.swapaxes(value, 1, 2)
    if "down" in name:
        return [(f"blk.{layer}.ffn_down_exps.{kind}", numpy.ascontiguousarray(value))]
    return [(f"blk.{layer}.ffn_{part}_exps.{kind}", numpy.ascontiguousarray(value[:, i::2]))
            for i, part in enumerate(("gate", "up"))]


def split_heads(layer, value, config):
    """Of each head the rows that make its key, turned over, and those that make its value."""
    of_heads = value.reshape(config.num_attention_heads, -1, config.kv_lora_rank)
    keys, values = numpy.split(of_heads, [config.qk_nope_head_dim], axis=1)
    return [(f"blk.{layer}.attn_k_b.weight", numpy.ascontiguousarray(numpy.swapaxes(keys, 1, 2))),
            (f"blk.{layer}.attn_v_b.weight", numpy.ascontiguousarray(values))]


def gguf_tensors(architecture, name, value, config, with_kv_b):
    """Name and value of what becomes of a tensor."""
    if architecture.startswith("gemma") and name.endswith("norm.weight"):
        value = 1 + value
    if name in TOP_NAMES:
        return [(TOP_NAMES[name], value)]
    _, _, layer, rest = name.split(".", 3)
    if architecture == "gpt-oss" and rest.startswith("mlp.experts."):
        return gpt_oss_experts(layer, rest, value)
    if rest == "mlp.gate.e_score_correction_bias":
        return [(f"blk.{layer}.exp_probs_b.bias", value)]
    if rest == "self_attn.kv_b_proj.weight" and not with_kv_b:
        return split_heads(layer, value, config)
    if rest == "self_attn.sinks":
        return [(f"blk.{layer}.attn_sinks.weight", value)]
    if rest == "mlp.experts.gate_up_proj":
        gate, up = (numpy.ascontiguousarray(half) for half in numpy.split(value, 2, axis=1))
        return [(f"blk.{layer}.ffn_gate_exps.weight", gate), (f"blk.{layer}.ffn_up_exps.weight", up)]
    if rest == "mlp.experts.down_proj":
        return [(f"blk.{layer}.ffn_down_exps.weight", value)]
    part, kind = rest.rsplit(".", 1)
    if architecture == "llama" and part == "self_attn.q_proj":
        value = interleave(value, config.num_attention_heads)
    if architecture == "llama" and part == "self_attn.k_proj":
        value = interleave(value, config.num_key_value_heads)
    names = {**LAYER_NAMES, **OWN_NAMES.get(architecture, {})}
    return [(f"blk.{layer}.{names[part]}.{kind}", value)]


def write_deepseek(writer, config, with_kv_b):
    """What only DeepSeek has: latents, and how its router chooses."""
    writer.add_kv_lora_rank(config.kv_lora_rank)
    if config.q_lora_rank:
        writer.add_q_lora_rank(config.q_lora_rank)
    key = config.qk_nope_head_dim + config.qk_rope_head_dim
    if with_kv_b:
        writer.add_key_length(key)
        writer.add_value_length(config.v_head_dim)
    else:
        writer.add_key_length(config.kv_lora_rank + config.qk_rope_head_dim)
        writer.add_value_length(config.kv_lora_rank)
        writer.add_key_length_mla(key)
        writer.add_value_length_mla(config.v_head_dim)
    writer.add_leading_dense_block_count(config.first_k_dense_replace)
    writer.add_expert_count(config.n_routed_experts)
    writer.add_expert_used_count(config.num_experts_per_tok)
    writer.add_expert_shared_count(config.n_shared_experts)
    writer.add_expert_feed_forward_length(config.moe_intermediate_size)
    writer.add_expert_weights_scale(config.routed_scaling_factor)
    writer.add_expert_weights_norm(bool(config.norm_topk_prob))
    third = config.model_type == "deepseek_v3"
    writer.add_expert_gating_func(
        gguf.ExpertGatingFuncType.SIGMOID if third else gguf.ExpertGatingFuncType.SOFTMAX)
    if config.n_group:
        writer.add_expert_group_count(config.n_group)
        writer.add_expert_group_used_count(config.topk_group)
    if "mscale_all_dim" in config.rope_parameters:
        writer.add_rope_scaling_yarn_log_mul(0.1 * config.rope_parameters["mscale_all_dim"])


def write_metadata(writer, name, config):
    writer.add_name(name)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    rope = config.rope_parameters
    rope = rope.get("full_attention", rope)  # Gemma 3's; its other one is what GGUF takes for granted
    writer.add_rope_freq_base(rope["rope_theta"])
    rotary = rope.get("partial_rotary_factor", 1)
    writer.add_rope_dimension_count(int(head_dim(config) * rotary))
    writer.add_vocab_size(config.vocab_size)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    deepseek = config.model_type.startswith("deepseek")
    if deepseek:
        write_deepseek(writer, config, name in WITH_KV_B)
    elif head_dim(config) * config.num_attention_heads != config.hidden_size:
        writer.add_key_length(head_dim(config))
        writer.add_value_length(head_dim(config))
    if getattr(config, "sliding_window", None):
        writer.add_sliding_window(config.sliding_window)
    experts = getattr(config, "num_local_experts", None) or getattr(config, "num_experts", None)
    if experts and not deepseek:
        writer.add_expert_count(experts)
        writer.add_expert_used_count(config.num_experts_per_tok)
    if experts and name == "gpt-oss":
        writer.add_expert_feed_forward_length(config.intermediate_size)
    if hasattr(config, "moe_intermediate_size") and not deepseek:
        writer.add_expert_feed_forward_length(config.moe_intermediate_size)
    if getattr(config, "attn_logit_softcapping", None):
        writer.add_attn_logit_softcapping(config.attn_logit_softcapping)
        writer.add_final_logit_softcapping(config.final_logit_softcapping)
    if getattr(config, "query_pre_attn_scalar", head_dim(config)) != head_dim(config):
        writer.add_attention_scale(config.query_pre_attn_scalar ** -0.5)
    if rope["rope_type"] in ("linear", "yarn"):
        writer.add_rope_scaling_type(gguf.RopeScalingType(rope["rope_type"]))
        writer.add_rope_scaling_factor(rope["factor"])
    if rope["rope_type"] == "longrope":
        original = rope["original_max_position_embeddings"]
        growth = math.log(config.max_position_embeddings / original) / math.log(original)
        writer.add_rope_scaling_attn_factors(math.sqrt(1 + growth))
    if rope["rope_type"] in ("yarn", "longrope"):
        writer.add_rope_scaling_orig_ctx_len(rope["original_max_position_embeddings"])


def write_vocabulary(writer):
    tokens, kinds, merges = vocabulary()
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("llama-bpe")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges(merges)
    writer.add_bos_token_id(tokens.index("<|begin_of_text|>"))
    writer.add_eos_token_id(tokens.index("<|eot_id|>"))


def write_gguf(path, name, architecture, model):
    writer = gguf.GGUFWriter(path, architecture)
    write_metadata(writer, name, model.config)
    write_vocabulary(writer)
    rope = model.config.rope_parameters
    if rope.get("rope_type") == "llama3":
        writer.add_tensor("rope_freqs.weight", rope_divisors(model))
    if rope.get("rope_type") == "longrope":
        for length in ("long", "short"):
            writer.add_tensor(f"rope_factors_{length}.weight",
                              numpy.array(rope[f"{length}_factor"], dtype=numpy.float32))
    tensors = dict(model.named_parameters())  # a tied head appears once
    tensors |= {n: b for n, b in model.named_buffers() if n.endswith("e_score_correction_bias")}
    for hf_name, parameter in tensors.items():
        value = parameter.detach().numpy()
        for name_and_value in gguf_tensors(architecture, hf_name, value, model.config, name in WITH_KV_B):
            writer.add_tensor(*name_and_value)
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
def half_precision_latents(model):
    """Keys and values are made of latents, and turned keys, as a KV cache in F16 holds them."""
    attention = type(model.model.layers[0].self_attn)
    plain = attention.expand_kv
    attention.expand_kv = lambda self, latents, keys: plain(
        self, latents.half().float(), keys.half().float())
    try:
        yield
    finally:
        attention.expand_kv = plain


@contextlib.contextmanager
def half_precision_kv(model):
    """Attention reads keys and values as a KV cache in F16 holds them."""
    if hasattr(model.model.layers[0].self_attn, "expand_kv"):
        with half_precision_latents(model):
            yield
        return
    module_of_family = sys.modules[type(model).__module__]
    plain = module_of_family.eager_attention_forward

    def rounded(module, query, key, value, *rest, **options):
        return plain(module, query, key.half().float(), value.half().float(), *rest, **options)

    module_of_family.eager_attention_forward = rounded
    try:
        yield
    finally:
        module_of_family.eager_attention_forward = plain


def last_logits(model, tokens):
    with torch.no_grad():
        return [float(x) for x in model(torch.tensor([tokens])).logits[0, -1]]


def make_cases(model, seed):
    cases = []
    random = numpy.random.default_rng(seed)
    for length in PROMPT_LENGTHS:
        margin, rounding = 0, 1
        while margin < MARGIN_MIN or rounding > ROUNDING_MAX:
            prompt = [int(t) for t in random.integers(0, VOCABULARY_SIZE, length)]
            greedy, margin = continue_greedily(model, prompt)
            if margin >= MARGIN_MIN:
                with half_precision_kv(model):
                    margin *= continue_greedily(model, prompt)[0] == greedy
            logits = last_logits(model, prompt)
            with half_precision_kv(model):
                rounded = last_logits(model, prompt)
            rounding = math.dist(logits, rounded) / math.hypot(*logits)
        cases.append(dict(prompt=prompt, logits=logits, logits_f16_kv=rounded, greedy=greedy,
                          margin_min=margin))
    return cases


def main(folder, wanted):
    folder.mkdir(parents=True, exist_ok=True)
    for seed, (name, overrides) in enumerate(MODELS.items()):
        if wanted and name not in wanted:
            continue
        family = overrides.pop("family", "Llama")
        model = make_model(family, overrides, seed)
        write_gguf(folder / f"{name}.gguf", name, ARCHITECTURES[family], model)
        cases = make_cases(model, seed)
        golden = dict(model=f"{name}.gguf", transformers=transformers.__version__, cases=cases)
        (folder / f"{name}.json").write_text(json.dumps(golden) + "\n")
        distinct = [len(set(case["greedy"])) for case in cases]
        print(name, "distinct greedy tokens:", distinct,
              "margins:", [round(case["margin_min"], 4) for case in cases])


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), sys.argv[2:])
