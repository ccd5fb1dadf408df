"""Writes tests/golden/hub: tiny random models as folders of Hugging Face's hub, with what transformers says.

Usage: python make_hub_golden.py OUTPUT_FOLDER [MODEL...]   (needs what make_golden.py does, and safetensors)

transformers itself writes config.json and the names of tensors; the types that it cannot write (fp8, groups of
MLX) are made here, by small quantisers that share no code with baton.
"""

import json
import pathlib
import shutil
import sys
import tempfile

import numpy
import safetensors.torch
import torch
import transformers

import make_golden

PROMPT_LENGTHS = (5, 40)
F8_BLOCK = 32

SMALL = dict(hidden_size=32, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, intermediate_size=64,
             max_position_embeddings=256)

# Family, configuration, how it is stored, and files.
MODELS = {
    "llama-f32-sharded": dict(
        store="f32", shards="40KB", config=dict(
            rope_parameters=dict(rope_type="llama3", rope_theta=500000.0, factor=8.0, low_freq_factor=1.0,
                                 high_freq_factor=4.0, original_max_position_embeddings=64))),
    "llama-f32-biased": dict(store="f32", config=dict(attention_bias=True, mlp_bias=True, tie_word_embeddings=True)),
    "mistral-f32-window": dict(family="Mistral", store="f32", config=dict(sliding_window=24, head_dim=16)),
    "mixtral-f32": dict(
        family="Mixtral", store="f32", config=dict(intermediate_size=32, num_local_experts=4, num_experts_per_tok=2)),
    "qwen2-bf16-yarn": dict(
        family="Qwen2", store="bf16", config=dict(
            tie_word_embeddings=True,
            rope_parameters=dict(rope_type="yarn", rope_theta=10000.0, factor=4.0, original_max_position_embeddings=64))),
    "qwen3-f16": dict(family="Qwen3", store="f16", config=dict(head_dim=16)),
    "qwen3moe-bf16": dict(
        family="Qwen3Moe", store="bf16", config=dict(
            head_dim=16, moe_intermediate_size=32, num_experts=4, num_experts_per_tok=2, norm_topk_prob=True)),
    "qwen3moe-f32": dict(
        family="Qwen3Moe", store="f32", config=dict(
            head_dim=16, moe_intermediate_size=16, num_experts=6, num_experts_per_tok=2, norm_topk_prob=True)),
    "qwen3moe-f32-mixed": dict(
        family="Qwen3Moe", store="f32", config=dict(
            num_hidden_layers=3, num_attention_heads=2, num_key_value_heads=1, head_dim=16, moe_intermediate_size=16,
            num_experts=4, num_experts_per_tok=2, norm_topk_prob=False, mlp_only_layers=[1])),
    "phi3-f32": dict(family="Phi3", store="f32", config=dict(partial_rotary_factor=0.5, pad_token_id=0)),
    "mistral-fp8": dict(family="Mistral", store="fp8", config=dict(hidden_size=48, intermediate_size=80)),
    "llama-mlx4": dict(store="mlx", bits=4, group=32, scales=torch.bfloat16, config=dict(tie_word_embeddings=True)),
    "qwen3-mlx8": dict(
        family="Qwen3", store="mlx", bits=8, group=64, scales=torch.float16, config=dict(hidden_size=64, head_dim=16)),
    "qwen3moe-mlx4": dict(
        family="Qwen3Moe", store="mlx", bits=4, group=32, scales=torch.float16, config=dict(
            head_dim=16, moe_intermediate_size=32, num_experts=4, num_experts_per_tok=2, norm_topk_prob=True)),
    "gemma2-f32": dict(
        family="Gemma2", store="f32", config=dict(
            head_dim=16, sliding_window=24, query_pre_attn_scalar=24, attn_logit_softcapping=4.0,
            final_logit_softcapping=1.5, tie_word_embeddings=True)),
    "gemma3-bf16": dict(
        family="Gemma3", store="bf16", config=dict(
            num_hidden_layers=3, head_dim=16, sliding_window=24, query_pre_attn_scalar=16, tie_word_embeddings=True,
            layer_types=["sliding_attention", "full_attention", "sliding_attention"],
            rope_parameters=dict(
                sliding_attention=dict(rope_type="default", rope_theta=10000.0),
                full_attention=dict(rope_type="linear", rope_theta=1000000.0, factor=8.0)))),
    "gemma2-f32-biased": dict(
        family="Gemma2", store="f32", older=True, config=dict(
            num_attention_heads=2, num_key_value_heads=1, head_dim=16, sliding_window=16, query_pre_attn_scalar=16,
            attention_bias=True, attn_logit_softcapping=None, final_logit_softcapping=None, tie_word_embeddings=True)),
    "gemma3-f32-wide": dict(
        family="Gemma3", store="f32", older=True, config=dict(
            num_attention_heads=2, num_key_value_heads=1, head_dim=16, sliding_window=16, query_pre_attn_scalar=16,
            sliding_window_pattern=1, attn_logit_softcapping=4.0, tie_word_embeddings=True, rope_parameters=dict(
                sliding_attention=dict(rope_type="default", rope_theta=10000.0),
                full_attention=dict(rope_type="default", rope_theta=1000000.0)))),
    "gpt-oss-f32": dict(
        family="GptOss", store="f32", config=dict(
            num_attention_heads=2, num_key_value_heads=1, intermediate_size=16, head_dim=16, num_local_experts=3,
            num_experts_per_tok=2, sliding_window=16, attention_bias=False,
            rope_parameters=dict(rope_type="yarn", rope_theta=150000.0, factor=8.0, beta_fast=32.0, beta_slow=1.0,
                                 original_max_position_embeddings=64))),
    "gpt-oss-mxfp4": dict(
        family="GptOss", store="mxfp4", config=dict(
            hidden_size=64, intermediate_size=32, head_dim=16, num_local_experts=4, num_experts_per_tok=2,
            sliding_window=24,
            rope_parameters=dict(rope_type="yarn", rope_theta=150000.0, factor=8.0, beta_fast=32.0, beta_slow=1.0,
                                 truncate=False, original_max_position_embeddings=64))),
    "deepseek2-f32": dict(
        family="DeepseekV2", store="f32", config=dict(
            num_key_value_heads=4, moe_intermediate_size=16, q_lora_rank=None, kv_lora_rank=24, qk_nope_head_dim=16,
            qk_rope_head_dim=8, v_head_dim=12, n_routed_experts=6, n_shared_experts=2, num_experts_per_tok=2,
            first_k_dense_replace=1, topk_method="group_limited_greedy", n_group=3, topk_group=2,
            routed_scaling_factor=1.5, rms_norm_eps=1e-6,
            rope_parameters=dict(rope_type="yarn", rope_theta=10000.0, factor=8.0, beta_fast=32, beta_slow=1,
                                 mscale=0.707, mscale_all_dim=0.9, original_max_position_embeddings=16))),
    "deepseek3-f32-halves": dict(
        family="DeepseekV3", store="f32", config=dict(
            num_attention_heads=2, num_key_value_heads=2, moe_intermediate_size=16, q_lora_rank=16, kv_lora_rank=24,
            qk_nope_head_dim=16, qk_rope_head_dim=8, v_head_dim=12, n_routed_experts=4, n_shared_experts=1,
            num_experts_per_tok=2, first_k_dense_replace=1, n_group=1, topk_group=1, norm_topk_prob=False,
            routed_scaling_factor=1.5, num_mtp_layers=0, rms_norm_eps=1e-6, rope_interleave=False,
            attention_bias=True)),
    "deepseek3-fp8": dict(
        family="DeepseekV3", store="fp8", config=dict(
            hidden_size=64, num_key_value_heads=4, moe_intermediate_size=32, q_lora_rank=32, kv_lora_rank=32,
            qk_nope_head_dim=16, qk_rope_head_dim=16, v_head_dim=16, n_routed_experts=4, n_shared_experts=1,
            num_experts_per_tok=2, first_k_dense_replace=1, n_group=2, topk_group=1, routed_scaling_factor=2.5,
            num_mtp_layers=0, rms_norm_eps=1e-6,
            rope_parameters=dict(rope_type="yarn", rope_theta=10000.0, factor=40.0, beta_fast=32, beta_slow=1,
                                 mscale=1.0, mscale_all_dim=1.0, original_max_position_embeddings=16))),
    "gemma3-wrapped": dict(
        family="Gemma3", store="f32", wrapper="Gemma3", config=dict(
            num_hidden_layers=3, head_dim=16, sliding_window=24, query_pre_attn_scalar=16, tie_word_embeddings=True,
            layer_types=["sliding_attention", "sliding_attention", "full_attention"],
            rope_parameters=dict(
                sliding_attention=dict(rope_type="default", rope_theta=10000.0),
                full_attention=dict(rope_type="linear", rope_theta=1000000.0, factor=8.0)))),
    "mistral3-wrapped": dict(
        family="Mistral", store="bf16", wrapper="Mistral3", new_names=True,
        config=dict(head_dim=16, rope_parameters=dict(rope_type="default", rope_theta=1e9))),
    "ministral3-f32": dict(
        family="Ministral3", store="f32", config=dict(
            head_dim=16, rope_parameters=dict(
                rope_type="yarn", rope_theta=1e6, factor=16.0, beta_fast=32.0, beta_slow=1.0, mscale=1.0,
                mscale_all_dim=1.0, llama_4_scaling_beta=0.5, original_max_position_embeddings=16))),
    "deepseek3-mlx4": dict(
        family="DeepseekV3", store="mlx", bits=4, group=32, scales=torch.bfloat16, config=dict(
            hidden_size=64, num_key_value_heads=4, moe_intermediate_size=32, q_lora_rank=32, kv_lora_rank=32,
            qk_nope_head_dim=32, qk_rope_head_dim=8, v_head_dim=16, n_routed_experts=4, n_shared_experts=1,
            num_experts_per_tok=2, first_k_dense_replace=1, n_group=2, topk_group=1, routed_scaling_factor=2.5,
            num_mtp_layers=0, rms_norm_eps=1e-6)),
    "phi3-f32-long": dict(
        family="Phi3", store="f32", config=dict(
            partial_rotary_factor=0.5, pad_token_id=0, original_max_position_embeddings=16,
            rope_parameters=dict(rope_type="longrope", rope_theta=10000.0, partial_rotary_factor=0.5,
                                 original_max_position_embeddings=16, short_factor=[1.0, 1.1],
                                 long_factor=[1.5, 5.0]))),
    "mixtral-mlx4": dict(
        family="Mixtral", store="mlx", bits=4, group=32, scales=torch.float16, router_bits=8, config=dict(
            intermediate_size=32, num_local_experts=4, num_experts_per_tok=2)),
    "qwen3moe-fp8": dict(
        family="Qwen3Moe", store="fp8", config=dict(
            hidden_size=48, head_dim=16, moe_intermediate_size=40, num_experts=4, num_experts_per_tok=2,
            norm_topk_prob=True)),
    "gpt-oss-mlx": dict(
        family="GptOss", store="mlx", bits=8, group=32, scales=torch.bfloat16, mxfp4_experts=True, config=dict(
            hidden_size=64, intermediate_size=32, head_dim=16, num_local_experts=4, num_experts_per_tok=2,
            sliding_window=24,
            rope_parameters=dict(rope_type="yarn", rope_theta=150000.0, factor=8.0, beta_fast=32.0, beta_slow=1.0,
                                 truncate=False, original_max_position_embeddings=64))),
    "ministral3-fp8-tensor": dict(
        family="Ministral3", store="fp8", scales="tensor", config=dict(
            num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1, head_dim=16, hidden_size=48,
            intermediate_size=40, tie_word_embeddings=True, rope_parameters=dict(
                rope_type="yarn", rope_theta=1e6, factor=16.0, beta_fast=32.0, beta_slow=1.0, mscale=1.0,
                mscale_all_dim=1.0, llama_4_scaling_beta=0.1, original_max_position_embeddings=16))),
    "qwen3moe-fp8-rows": dict(
        family="Qwen3Moe", store="fp8", scales="channel", config=dict(
            num_attention_heads=2, num_key_value_heads=1, head_dim=16, hidden_size=48, moe_intermediate_size=24,
            num_experts=3, num_experts_per_tok=2, norm_topk_prob=True, tie_word_embeddings=True)),
}


def quantise_f8_whole(weight, scales_of):
    """One scale for all of a matrix, a scalar, or for each row, a column."""
    scales = weight.abs().max() / 448 if scales_of == "tensor" else weight.abs().amax(1, keepdim=True) / 448
    stored = (weight / scales).to(torch.float8_e4m3fn)
    return stored, scales, (stored.float() * scales).bfloat16().float()


# config.json's words for them: Mistral's of Ministral 3, and those of compressed-tensors.
F8_WHOLE = dict(
    tensor=dict(quant_method="fp8", activation_scheme="static", weight_block_size=None, dequantize=False,
                modules_to_not_convert=["model.vision_tower", "model.multi_modal_projector", "lm_head"]),
    channel=dict(quant_method="compressed-tensors", format="float-quantized", ignore=["lm_head"], kv_cache_scheme=None,
                 quantization_status="compressed", config_groups=dict(group_0=dict(
                     targets=["Linear"], output_activations=None,
                     input_activations=dict(num_bits=8, type="float", strategy="token", dynamic=True, symmetric=True),
                     weights=dict(num_bits=8, type="float", strategy="channel", dynamic=False, symmetric=True,
                                  group_size=None, block_structure=None)))))


def quantise_f8(weight):
    """Blocks of F8_BLOCK squared: stored weights, their scales, and what they mean."""
    rows, columns = weight.shape
    scales = torch.zeros(-(-rows // F8_BLOCK), -(-columns // F8_BLOCK))
    stored = torch.zeros(rows, columns, dtype=torch.float8_e4m3fn)
    meant = torch.zeros(rows, columns)
    for r in range(0, rows, F8_BLOCK):
        for c in range(0, columns, F8_BLOCK):
            block = weight[r:r + F8_BLOCK, c:c + F8_BLOCK]
            scale = block.abs().max() / 448
            scales[r // F8_BLOCK, c // F8_BLOCK] = scale
            stored[r:r + F8_BLOCK, c:c + F8_BLOCK] = (block / scale).to(torch.float8_e4m3fn)
            product = stored[r:r + F8_BLOCK, c:c + F8_BLOCK].float() * scale
            meant[r:r + F8_BLOCK, c:c + F8_BLOCK] = product.bfloat16().float()
    return stored, scales, meant


def quantise_mlx(weight, bits, group, scale_type):
    """w = scale * q + bias in groups along the columns: words, scales, biases, and what they mean."""
    *lead, columns = weight.shape
    groups = weight.reshape(*lead, columns // group, group)
    low, high = groups.amin(-1), groups.amax(-1)
    scales = ((high - low) / (2 ** bits - 1)).to(scale_type)
    biases = low.to(scale_type)
    q = torch.round((groups - biases.float()[..., None]) / scales.float()[..., None]).clamp(0, 2 ** bits - 1)
    meant = (scales.float()[..., None] * q + biases.float()[..., None]).reshape(weight.shape)
    per_word = 32 // bits
    fields = q.reshape(*lead, columns // per_word, per_word).numpy().astype(numpy.uint64)
    words = sum(fields[..., i] << numpy.uint64(bits * i) for i in range(per_word)).astype(numpy.uint32)
    return torch.from_numpy(words), scales, biases, meant


def quantise_mxfp4(weight):
    """[..., columns] in blocks of 32: nibble pairs (even element low), exponents, and what they mean."""
    grid = torch.tensor([0, 0.5, 1, 1.5, 2, 3, 4, 6])
    groups = weight.reshape(*weight.shape[:-1], -1, 32)
    exponents = torch.floor(torch.log2(groups.abs().amax(-1))) - 2
    scaled = groups / 2 ** exponents[..., None]
    nearest = (scaled.abs()[..., None] - grid).abs().argmin(-1)
    meant = grid[nearest] * scaled.sign() * 2 ** exponents[..., None]
    codes = nearest + 8 * (scaled < 0)
    blocks = (codes[..., 0::2] | codes[..., 1::2] << 4).to(torch.uint8)
    return blocks, (exponents + 127).to(torch.uint8), meant.reshape(weight.shape)


MIXTRAL_NAMES = dict(w1="gate_proj", w2="down_proj", w3="up_proj")  # on the hub, and with MLX


def split_experts(tensors):
    """gpt-oss as MLX stores it: gate and up apart, rows by output."""
    split = {}
    for name, value in tensors.items():
        before, found, after = name.partition(".experts.")
        if not found:
            split[name] = value
            continue
        module, bias = after.removesuffix("_bias"), after.endswith("_bias")
        value = value if bias else value.transpose(1, 2)
        ending = "bias" if bias else "weight"
        parts = dict(gate_proj=value[:, 0::2], up_proj=value[:, 1::2]) if module == "gate_up_proj" else {module: value}
        for part, values in parts.items():
            split[f"{before}.experts.{part}.{ending}"] = values.contiguous()
    return split


def join_experts(tensors):
    """What split_experts() took apart."""
    joined = {}
    for name, value in tensors.items():
        before, found, after = name.partition(".experts.")
        module, _, ending = after.partition(".")
        if not found:
            joined[name] = value
        elif module != "up_proj":
            if module == "gate_proj":
                up = tensors[f"{before}.experts.up_proj.{ending}"]
                module, value = "gate_up_proj", torch.stack([value, up], 2).flatten(1, 2)
            bias = ending == "bias"
            joined[f"{before}.experts.{module}{'_bias' if bias else ''}"] = value if bias else value.transpose(1, 2)
    return joined


def split_latents(tensors, config):
    """DeepSeek as MLX stores it: of each head what makes its key, turned over, and what makes its value."""
    split = {}
    for name, value in tensors.items():
        before, found, _ = name.partition("kv_b_proj.")
        if not found:
            split[name] = value
            continue
        heads = value.reshape(config["num_attention_heads"], -1, config["kv_lora_rank"])
        keys, values = heads.split([config["qk_nope_head_dim"], config["v_head_dim"]], 1)
        split[before + "embed_q.weight"] = keys.transpose(1, 2).contiguous()
        split[before + "unembed_out.weight"] = values.contiguous()
    return split


def join_latents(tensors):
    """What split_latents() took apart."""
    joined = {}
    for name, value in tensors.items():
        before, found, _ = name.partition("embed_q.")
        if found:
            values = tensors[before + "unembed_out.weight"]
            joined[before + "kv_b_proj.weight"] = torch.cat([value.transpose(1, 2), values], 1).flatten(0, 1)
        elif "unembed_out." not in name:
            joined[name] = value
    return joined


def stack_experts(tensors):
    """As MLX stores them: the matrices of all experts as one."""
    if any(name.endswith(".experts.gate_up_proj") for name in tensors):
        return split_experts(tensors)
    stacked, experts = {}, {}
    for name, value in tensors.items():
        before, found, after = name.partition(".experts.")
        if not found:
            stacked[name] = value
            continue
        number, rest = after.split(".", 1)
        module, _, ending = rest.partition(".")
        rest = f"{MIXTRAL_NAMES.get(module, module)}.{ending}"
        experts.setdefault(f"{before}.switch_mlp.{rest}", {})[int(number)] = value
    for name, values in experts.items():
        stacked[name] = torch.stack([values[i] for i in range(len(values))])
    return stacked


def store(tensors, how):
    """The tensors to write, what they mean by the names that transformers uses, and the change to config.json."""
    kind = how["store"]
    written, meant = {}, {}
    if kind in ("f32", "bf16", "f16"):
        dtype = dict(f32=torch.float32, bf16=torch.bfloat16, f16=torch.float16)[kind]
        written = {name: value.to(dtype) for name, value in tensors.items()}
        return written, {name: value.float() for name, value in written.items()}, {}
    if kind == "fp8" and "scales" in how:
        for name, value in tensors.items():
            if "_proj" in name and value.dim() == 2:
                ending = "_scale_inv" if how["scales"] == "tensor" else "_scale"
                written[name], written[name + ending], meant[name] = quantise_f8_whole(value, how["scales"])
                if how["scales"] == "tensor":
                    written[name.replace(".weight", ".activation_scale")] = torch.tensor(0.01)
            else:
                written[name] = value.bfloat16()
                meant[name] = written[name].float()
        return written, meant, dict(quantization_config=F8_WHOLE[how["scales"]])
    if kind == "fp8":
        for name, value in tensors.items():
            if "_proj" in name and value.dim() == 2:
                written[name], written[name + "_scale_inv"], meant[name] = quantise_f8(value)
            else:
                written[name] = value.bfloat16()
                meant[name] = written[name].float()
        return written, meant, dict(quantization_config=dict(
            quant_method="fp8", fmt="e4m3", activation_scheme="dynamic", weight_block_size=[F8_BLOCK, F8_BLOCK]))
    if kind == "mxfp4":
        for name, value in tensors.items():
            if name.endswith(("experts.gate_up_proj", "experts.down_proj")):
                blocks, scales, of_rows = quantise_mxfp4(value.transpose(1, 2))
                written[name + "_blocks"], written[name + "_scales"] = blocks, scales
                meant[name] = of_rows.transpose(1, 2)
            else:
                written[name] = value.bfloat16()
                meant[name] = written[name].float()
        return written, meant, dict(quantization_config=dict(
            quant_method="mxfp4", modules_to_not_convert=["model.layers.*.self_attn", "model.layers.*.mlp.router",
                                                          "model.embed_tokens", "lm_head"]))
    bits, group, scales = how["bits"], how["group"], how["scales"]
    modules = {}
    for name, value in stack_experts(tensors).items():
        module = name.removesuffix(".weight")
        if value.dim() < 2 or not name.endswith(".weight"):
            written[name] = value.to(scales)
            meant[name] = written[name].float()
            continue
        if how.get("mxfp4_experts") and ".experts." in module:
            blocks, written[module + ".scales"], meant[name] = quantise_mxfp4(value)
            written[name] = blocks.contiguous().view(torch.uint32).flatten(-2)
            modules[module] = dict(group_size=32, bits=4, mode="mxfp4")
            continue
        is_router = module.endswith(("_moe.gate", "mlp.gate"))
        own = 8 if module == "model.embed_tokens" else how.get("router_bits", bits) if is_router else bits
        if own != bits:
            modules[module] = dict(group_size=group, bits=own)
        words, written[module + ".scales"], written[module + ".biases"], meant[name] = quantise_mlx(
            value, own, group, scales)
        written[name] = words
    quantization = dict(group_size=group, bits=bits, **modules)
    return written, meant, dict(quantization=quantization, quantization_config=quantization)


def unstack(meant):
    """Back to the names that transformers uses."""
    if any(name.endswith(".experts.gate_proj.weight") for name in meant):
        return join_experts(meant)
    result = {}
    for name, value in join_latents(meant).items():
        before, found, rest = name.partition(".switch_mlp.")
        if not found:
            result[name] = value
            continue
        if ".block_sparse_moe." in name:
            hub_names = {ours: theirs for theirs, ours in MIXTRAL_NAMES.items()}
            rest = ".".join(hub_names.get(part, part) for part in rest.split("."))
        for i, matrix in enumerate(value):
            result[f"{before}.experts.{i}.{rest}"] = matrix
    return result


def write_tokenizer(folder):
    tokens, _, merges = make_golden.vocabulary()
    merges = [merge for merge in merges if all(part in tokens for part in merge.split(" "))]
    first_control = next(i for i, token in enumerate(tokens) if token.startswith("<|"))
    added = [dict(id=i, content=tokens[i], single_word=False, lstrip=False, rstrip=False, normalized=False, special=True)
             for i in range(first_control, len(tokens))]
    tokenizer = dict(
        version="1.0", truncation=None, padding=None, added_tokens=added, normalizer=None,
        pre_tokenizer=dict(type="ByteLevel", add_prefix_space=False, trim_offsets=True, use_regex=True),
        post_processor=None,
        decoder=dict(type="ByteLevel", add_prefix_space=True, trim_offsets=True, use_regex=True),
        model=dict(type="BPE", dropout=None, unk_token=None, continuing_subword_prefix=None, end_of_word_suffix=None,
                   fuse_unk=False, byte_fallback=False, ignore_merges=False,
                   vocab={token: i for i, token in enumerate(tokens[:first_control])}, merges=merges))
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer, ensure_ascii=False) + "\n")
    config = dict(tokenizer_class="PreTrainedTokenizerFast", bos_token="<|begin_of_text|>", eos_token="<|eot_id|>",
                  chat_template="{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}")
    (folder / "tokenizer_config.json").write_text(json.dumps(config) + "\n")
    eos = [tokens.index("<|eot_id|>"), tokens.index("<|end_of_text|>")]
    generation = dict(eos_token_id=eos, do_sample=True, temperature=0.7, top_p=0.9, top_k=40)
    (folder / "generation_config.json").write_text(json.dumps(generation) + "\n")


def hub_tensors(model):
    """What transformers writes, and its config.json."""
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        return (safetensors.torch.load_file(pathlib.Path(folder) / "model.safetensors"),
                json.loads((pathlib.Path(folder) / "config.json").read_text()))


def in_older_words(config):
    """config.json as transformers wrote it before its version 5."""
    rope = config.pop("rope_parameters")
    config["torch_dtype"] = config.pop("dtype")
    if "full_attention" in rope:
        config["rope_local_base_freq"] = rope["sliding_attention"]["rope_theta"]
        rope = rope["full_attention"]
        config["sliding_window_pattern"] = 1
        config.pop("layer_types")
    config["rope_theta"] = rope["rope_theta"]
    return config


def wrap(how, text):
    """The tensors and config.json of the multimodal model around a text model, which answers texts alike."""
    vision = dict(hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=1, image_size=28,
                  patch_size=14)
    config = getattr(transformers, how["wrapper"] + "Config")(
        text_config=text.config.to_dict(), vision_config=vision, tie_word_embeddings=text.config.tie_word_embeddings)
    config._attn_implementation = "eager"
    model = getattr(transformers, how["wrapper"] + "ForConditionalGeneration")(config).float().eval()
    model.model.language_model.load_state_dict(text.model.state_dict())
    model.lm_head.load_state_dict(text.lm_head.state_dict())
    prompt = list(range(40))
    assert make_golden.last_logits(model, prompt) == make_golden.last_logits(text, prompt)
    tensors, written = hub_tensors(model)
    if how.get("new_names"):  # as transformers 4.52 to 4.57 wrote them
        tensors = {n.removeprefix("language_model.") if n.startswith("language_model.lm_head")
                   else "model." + n.replace("language_model.model.", "language_model.", 1): value
                   for n, value in tensors.items()}
    return tensors, written


def write_weights(folder, tensors, shard_size):
    if shard_size is None:
        safetensors.torch.save_file(tensors, folder / "model.safetensors", metadata=dict(format="pt"))
        return
    shards, size = [{}], 0
    limit = int(shard_size.removesuffix("KB")) * 1000
    for name, value in tensors.items():
        if size + value.nbytes > limit and shards[-1]:
            shards.append({})
            size = 0
        shards[-1][name] = value
        size += value.nbytes
    weight_map = {}
    for i, shard in enumerate(shards):
        file = f"model-{i + 1:05}-of-{len(shards):05}.safetensors"
        safetensors.torch.save_file(shard, folder / file, metadata=dict(format="pt"))
        weight_map |= {name: file for name in shard}
    total = sum(value.nbytes for value in tensors.values())
    index = dict(metadata=dict(total_size=total), weight_map=weight_map)
    (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=2) + "\n")


def load_meant(how, meant):
    """A model in float32 whose weights are exactly what the files mean."""
    with tempfile.TemporaryDirectory() as folder:
        safetensors.torch.save_file({n: v.contiguous() for n, v in meant.items()},
                                    pathlib.Path(folder) / "model.safetensors", metadata=dict(format="pt"))
        family = how.get("family", "Llama")
        config = getattr(transformers, make_golden.CONFIGS.get(family, f"{family}Config"))(
            **{**make_golden.BASE, **SMALL, **how["config"]})
        config.save_pretrained(folder)
        model = getattr(transformers, f"{family}ForCausalLM").from_pretrained(
            folder, torch_dtype=torch.float32, attn_implementation="eager")
        return model.float().eval()


def sample_rows(meant):
    """The last row of every matrix and vector, to be compared bit for bit."""
    return {name: [float(x) for x in (value[-1] if value.dim() > 1 else value)]
            for name, value in meant.items()
            if (name.startswith("model.layers.1.") or "layers" not in name) and "experts.gate_up" not in name
            and "experts.down_proj" not in name}


def main(folder, wanted):
    for seed, (name, how) in enumerate(MODELS.items()):
        if wanted and name not in wanted:
            continue
        target = folder / name
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        family = how.get("family", "Llama")
        model = make_golden.make_model(family, {**SMALL, **how["config"]}, 100 + seed)
        tensors, config = hub_tensors(model)
        if "wrapper" in how:
            wrapped, config = wrap(how, model)
            written, _, change = store(wrapped, how)
            _, meant, _ = store(tensors, how)
        else:
            if how["store"] == "mlx" and "kv_lora_rank" in config:
                tensors = split_latents(tensors, config)
            written, meant, change = store(tensors, how)
        meant = unstack(meant)
        if how.get("older"):
            config = in_older_words(config)
        write_weights(target, {n: v.contiguous() for n, v in written.items()}, how.get("shards"))
        (target / "config.json").write_text(json.dumps({**config, **change}, indent=2) + "\n")
        write_tokenizer(target)
        reference = load_meant(how, meant)
        random = numpy.random.default_rng(seed)
        cases = []
        for length in PROMPT_LENGTHS:
            prompt = [int(t) for t in random.integers(0, make_golden.VOCABULARY_SIZE, length)]
            with make_golden.half_precision_kv(reference):
                logits = make_golden.last_logits(reference, prompt)
            cases.append(dict(prompt=prompt, logits_f16_kv=[float(f"{x:.7g}") for x in logits]))
        golden = dict(transformers=transformers.__version__, cases=cases, rows=sample_rows(meant))
        (target / "golden.json").write_text(json.dumps(golden) + "\n")
        print(name, sum(f.stat().st_size for f in target.iterdir()), "bytes",
              sorted(f.name for f in target.glob("*.safetensors")))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(pathlib.Path(sys.argv[1]), sys.argv[2:])
