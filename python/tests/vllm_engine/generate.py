"""Run by a Python that has transformers and torch: loads a pulled model without vLLM.

``generate.py REFERENCE``: prints what vLLM would generate, as JSON.
"""

import json
import sys

from transformers import AutoModelForCausalLM, AutoTokenizer

import ocireg

path = ocireg.pull(sys.argv[1])
model = AutoModelForCausalLM.from_pretrained(path)
tokenizer = AutoTokenizer.from_pretrained(path)
prompt = tokenizer("the quick brown fox", return_tensors="pt")
output = model.generate(**prompt, max_new_tokens=12, do_sample=False, eos_token_id=None)
print("RESULT", json.dumps({"tokens": output[0][-12:].tolist()}))
