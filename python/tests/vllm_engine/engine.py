"""Run by a Python that has vLLM: starts an engine, generates, and prints what came as JSON.

``engine.py MODEL OPTIONS``: OPTIONS is a JSON object for ``vllm.LLM``.
"""

import json
import sys
import time

if __name__ == "__main__":
    from vllm import LLM, SamplingParams

    started = time.monotonic()
    try:
        llm = LLM(
            model=sys.argv[1],
            dtype="float32",
            enforce_eager=True,
            max_model_len=64,
            max_num_seqs=1,
            **json.loads(sys.argv[2]),
        )
    except Exception as error:
        print("RESULT", json.dumps({"error": type(error).__name__, "message": str(error)}))
        sys.exit(3)
    greedy = SamplingParams(temperature=0, max_tokens=12, ignore_eos=True)
    (output,) = llm.generate(["the quick brown fox"], greedy, use_tqdm=False)
    result = {
        "tokens": list(output.outputs[0].token_ids),
        # Until the first tokens, in seconds.
        "seconds": round(time.monotonic() - started, 2),
        "model": llm.llm_engine.model_config.model,
        "name": llm.llm_engine.model_config.served_model_name,
    }
    print("RESULT", json.dumps(result))
