"""Makes a tiny model with the formats' own libraries: make-model.py safetensors|gguf|gguf-split DIR

A Llama of one layer with a tokenizer of single bytes, so that real engines open it. Prints the number
of its parameters.
"""

import json
import sys
from pathlib import Path

import numpy as np

kind, directory = sys.argv[1], Path(sys.argv[2])
directory.mkdir(parents=True, exist_ok=True)
HIDDEN, FEED_FORWARD, HEADS, CONTEXT, VOCABULARY = 32, 64, 4, 128, 259
random = np.random.default_rng(1)


def weights(names):
    """Matrices as Hugging Face and GGUF both have them: (out, in)."""
    shapes = {
        "embed": (VOCABULARY, HIDDEN),
        "output": (VOCABULARY, HIDDEN),
        "norm": (HIDDEN,),
        "attn_norm": (HIDDEN,),
        "ffn_norm": (HIDDEN,),
        "q": (HIDDEN, HIDDEN),
        "k": (HIDDEN, HIDDEN),
        "v": (HIDDEN, HIDDEN),
        "o": (HIDDEN, HIDDEN),
        "gate": (FEED_FORWARD, HIDDEN),
        "up": (FEED_FORWARD, HIDDEN),
        "down": (HIDDEN, FEED_FORWARD),
    }
    return {
        names[key]: random.standard_normal(shape).astype(np.float32) * 0.02
        for key, shape in shapes.items()
    }


def make_safetensors():
    from huggingface_hub import split_state_dict_into_shards_factory
    from safetensors.numpy import save_file
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, PreTrainedTokenizerFast

    layer = "model.layers.0"
    tensors = weights(
        {
            "embed": "model.embed_tokens.weight",
            "output": "lm_head.weight",
            "norm": "model.norm.weight",
            "attn_norm": f"{layer}.input_layernorm.weight",
            "ffn_norm": f"{layer}.post_attention_layernorm.weight",
            **{key: f"{layer}.self_attn.{key}_proj.weight" for key in "qkvo"},
            **{key: f"{layer}.mlp.{key}_proj.weight" for key in ("gate", "up", "down")},
        }
    )
    split = split_state_dict_into_shards_factory(
        tensors,
        get_storage_size=lambda tensor: tensor.nbytes,
        filename_pattern="model{suffix}.safetensors",
        max_shard_size=50_000,
    )
    for name, keys in split.filename_to_tensors.items():
        save_file({key: tensors[key] for key in keys}, directory / name, {"format": "pt"})
    index = {"metadata": split.metadata, "weight_map": split.tensor_to_filename}
    (directory / "model.safetensors.index.json").write_text(json.dumps(index))
    LlamaConfig(
        architectures=["LlamaForCausalLM"],
        hidden_size=HIDDEN,
        intermediate_size=FEED_FORWARD,
        num_hidden_layers=1,
        num_attention_heads=HEADS,
        max_position_embeddings=CONTEXT,
        vocab_size=VOCABULARY,
        dtype="float32",
    ).save_pretrained(directory)
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens = ["<unk>", "<s>", "</s>", *letters]
    tokenizer = Tokenizer(models.BPE({token: i for i, token in enumerate(tokens)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="<unk>", bos_token="<s>", eos_token="</s>"
    ).save_pretrained(directory)
    return tensors


def make_gguf(tensors_per_file):
    import gguf

    tensors = weights(
        {
            "embed": "token_embd.weight",
            "output": "output.weight",
            "norm": "output_norm.weight",
            "attn_norm": "blk.0.attn_norm.weight",
            "ffn_norm": "blk.0.ffn_norm.weight",
            "o": "blk.0.attn_output.weight",
            **{key: f"blk.0.attn_{key}.weight" for key in "qkv"},
            **{key: f"blk.0.ffn_{key}.weight" for key in ("gate", "up", "down")},
        }
    )
    path = directory / "tiny.gguf"
    writer = gguf.GGUFWriter(path, "llama", split_max_tensors=tensors_per_file)
    writer.add_name("tiny")
    writer.add_license("mit")
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(HIDDEN)
    writer.add_feed_forward_length(FEED_FORWARD)
    writer.add_block_count(1)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_rope_dimension_count(HIDDEN // HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(VOCABULARY)
    kinds = gguf.TokenType
    writer.add_tokenizer_model("llama")
    writer.add_token_list(["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))])
    writer.add_token_scores([0.0] * VOCABULARY)
    writer.add_token_types([kinds.UNKNOWN, kinds.CONTROL, kinds.CONTROL, *[kinds.BYTE] * 256])
    writer.add_unk_token_id(0)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    for name, tensor in tensors.items():
        writer.add_tensor(name, tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return tensors


made = make_safetensors() if kind == "safetensors" else make_gguf(5 if kind == "gguf-split" else 0)
print(sum(tensor.size for tensor in made.values()))
