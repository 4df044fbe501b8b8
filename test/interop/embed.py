"""Embeds sentences with the model in a directory: embed.py DIR SENTENCE...

The directory is read with safetensors and tokenizers, and the BERT encoder is computed with numpy;
where PyTorch is installed, transformers computes it too. Prints one JSON object.
"""

import importlib.util
import json
import os
import sys
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"

import numpy as np  # noqa: E402
from safetensors.numpy import load_file  # noqa: E402
from tokenizers import Tokenizer  # noqa: E402
from transformers import AutoConfig, AutoTokenizer  # noqa: E402

directory = Path(sys.argv[1])
sentences = sys.argv[2:]


def erf(x):
    """Abramowitz and Stegun 7.1.26, to about 1e-7."""
    t = 1 / (1 + 0.3275911 * np.abs(x))
    coefficients = [1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592]
    polynomial = np.polyval([*coefficients, 0], t)
    return np.sign(x) * (1 - polynomial * np.exp(-x * x))


def embed_with_numpy(ids, weights, config):
    """Mean-pooled, normalised output of BERT for one unpadded sentence."""

    def linear(x, name):
        return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    def normalize(x, name):
        centred = x - x.mean(-1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + config.layer_norm_eps)
        return scaled * weights[f"{name}.weight"] + weights[f"{name}.bias"]

    heads = config.num_attention_heads
    x = (
        weights["embeddings.word_embeddings.weight"][ids]
        + weights["embeddings.position_embeddings.weight"][: len(ids)]
        + weights["embeddings.token_type_embeddings.weight"][0]
    )
    x = normalize(x, "embeddings.LayerNorm")
    for layer in range(config.num_hidden_layers):
        name = f"encoder.layer.{layer}"
        query, key, value = (
            linear(x, f"{name}.attention.self.{part}").reshape(len(ids), heads, -1).swapaxes(0, 1)
            for part in ("query", "key", "value")
        )
        scores = query @ key.swapaxes(1, 2) / np.sqrt(query.shape[-1])
        attention = np.exp(scores - scores.max(-1, keepdims=True))
        attention /= attention.sum(-1, keepdims=True)
        seen = (attention @ value).swapaxes(0, 1).reshape(len(ids), -1)
        x = normalize(
            x + linear(seen, f"{name}.attention.output.dense"), f"{name}.attention.output.LayerNorm"
        )
        inner = linear(x, f"{name}.intermediate.dense")
        inner = inner * (1 + erf(inner / np.sqrt(2))) / 2
        x = normalize(x + linear(inner, f"{name}.output.dense"), f"{name}.output.LayerNorm")
    mean = x.mean(0)
    return (mean / np.linalg.norm(mean)).tolist()


def embed_with_transformers():
    """The same by transformers, or None where PyTorch isn't installed."""
    if importlib.util.find_spec("torch") is None:
        return None
    import torch
    from transformers import AutoModel

    tokenizer = AutoTokenizer.from_pretrained(directory)
    model = AutoModel.from_pretrained(directory)
    with torch.no_grad():
        means = [model(**tokenizer(s, return_tensors="pt"))[0][0].mean(0) for s in sentences]
    return [(mean / mean.norm()).tolist() for mean in means]


tokenizer = Tokenizer.from_file(str(directory / "tokenizer.json"))
tokenizer.no_padding()
ids = [tokenizer.encode(sentence).ids for sentence in sentences]
config = AutoConfig.from_pretrained(directory)
weights = load_file(directory / "model.safetensors")
json.dump(
    {
        "ids": ids,
        "transformersIds": AutoTokenizer.from_pretrained(directory)(sentences)["input_ids"],
        "numpy": [embed_with_numpy(sentence, weights, config) for sentence in ids],
        "transformers": embed_with_transformers(),
    },
    sys.stdout,
)
