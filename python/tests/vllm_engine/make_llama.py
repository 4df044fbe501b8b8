"""Run by a Python that has transformers and torch: a tiny random Llama with a BPE tokenizer.

``make_llama.py DIRECTORY HIDDEN_SIZE MAX_SHARD_SIZE``
"""

import sys

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

directory, hidden_size, shard_size = sys.argv[1], int(sys.argv[2]), sys.argv[3]
torch.manual_seed(1)

tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
tokenizer.decoder = decoders.ByteLevel()
trainer = trainers.BpeTrainer(
    vocab_size=400,
    special_tokens=["<unk>", "<s>", "</s>"],
    initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
)
tokenizer.train_from_iterator(["the quick brown fox jumps over the lazy dog"], trainer)
fast = PreTrainedTokenizerFast(
    tokenizer_object=tokenizer, unk_token="<unk>", bos_token="<s>", eos_token="</s>"
)

config = LlamaConfig(
    vocab_size=len(fast),
    hidden_size=hidden_size,
    intermediate_size=2 * hidden_size,
    num_hidden_layers=2,
    num_attention_heads=max(4, hidden_size // 64),
    num_key_value_heads=max(4, hidden_size // 64) // 2,
    max_position_embeddings=128,
    bos_token_id=1,
    eos_token_id=2,
    tie_word_embeddings=False,
)
LlamaForCausalLM(config).float().save_pretrained(directory, max_shard_size=shard_size)
fast.save_pretrained(directory)
