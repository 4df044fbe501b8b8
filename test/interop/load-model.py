"""Opens a model with the programs that people use, and prints as JSON what they found:

load-model.py safetensors DIR     every shard with safetensors: tensors, parameters
load-model.py transformers NAME   configuration and tokenizer; the model too where PyTorch is installed
load-model.py hub NAME TAG        what huggingface_hub finds in its cache
load-model.py gguf FILE...        gguf's reader: architecture, tensors, parameters
load-model.py llama FILE          llama.cpp: how many of the four tokens it was asked for it gave
"""

import importlib.util
import json
import os
import sys
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
kind, name, *others = sys.argv[1:]


def with_safetensors():
    from safetensors import safe_open

    directory = Path(name)
    index = directory / "model.safetensors.index.json"
    weight_map = json.loads(index.read_text())["weight_map"] if index.exists() else {}
    parameters, tensors = 0, {}
    for path in sorted(directory.glob("*.safetensors")):
        with safe_open(path, framework="numpy") as file:
            for key in file.keys():
                tensors[key] = path.name
                parameters += file.get_tensor(key).size
    return {"tensors": len(tensors), "parameters": parameters, "indexed": tensors == weight_map}


def with_transformers():
    from transformers import AutoConfig, AutoTokenizer

    config = AutoConfig.from_pretrained(name)
    tokenizer = AutoTokenizer.from_pretrained(name)
    ids = tokenizer("hi!")["input_ids"]
    found = {"architectures": config.architectures, "text": tokenizer.decode(ids)}
    if importlib.util.find_spec("torch"):
        from transformers import AutoModelForCausalLM

        model = AutoModelForCausalLM.from_pretrained(name)
        found["parameters"] = model.num_parameters()
    return found


def with_hub():
    from huggingface_hub import scan_cache_dir, snapshot_download, try_to_load_from_cache

    cache = scan_cache_dir()
    return {
        "snapshot": snapshot_download(name),
        "tagged": snapshot_download(name, revision=others[0]),
        "config": try_to_load_from_cache(name, "config.json"),
        "repositories": [repo.repo_id for repo in cache.repos],
        "refs": sorted(ref for repo in cache.repos for ref in repo.refs),
        "warnings": [str(warning) for warning in cache.warnings],
    }


def with_gguf():
    from gguf import GGUFReader

    readers = [GGUFReader(path) for path in [name, *others]]
    architecture = readers[0].get_field("general.architecture")
    return {
        "architecture": architecture.contents() if architecture else None,
        "tensors": sum(len(reader.tensors) for reader in readers),
        "parameters": sum(int(tensor.n_elements) for r in readers for tensor in r.tensors),
    }


def with_llama():
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = name
    params.n_ctx = 64
    params.n_parallel = 1
    params.cpuparams.n_threads = 1
    answer = xllamacpp.Server(params).handle_completions({"prompt": "hi", "max_tokens": 4})
    return {"tokens": answer["usage"]["completion_tokens"]}


load = {
    "safetensors": with_safetensors,
    "transformers": with_transformers,
    "hub": with_hub,
    "gguf": with_gguf,
    "llama": with_llama,
}[kind]
print(json.dumps(load()))
