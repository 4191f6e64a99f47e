"""A chat server that is not ours: `transformers serve` with a tiny random model, for as long as stdin stays open.

What for: the caption agent talks to it as it talks to vLLM, Ollama or a hosted model. The model says random words
of products, and now and then <STOP>, so that its answers are short, long, cut, critical and content.

`chat_server.py FOLDER` writes the model to FOLDER, serves it on a free port of loopback, prints one line of JSON,
{"url", "model"}, and then answers each line on stdin with {"calls"}: how many chat calls were answered with 200.
With stdin the server ends as well, so it never outlives the test that started it; nor does it live for more than
ten minutes.
"""

import json
import logging
import os
import signal
import socket
import sys
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
from transformers.cli.serve import Serve

WORDS = """a an the red blue green black white grey striped plain round large small mug bowl lamp chair dress shirt
shoe bag of with in for and ceramic wooden steel cotton leather glass name colour material shape <STOP>""".split()
# Any of these ends an answer: by chance alone most answers would be cut at their greatest length.
ENDS = [".", "!", "?", ";"]
TEMPLATE = "{% for m in messages %}{{ m['role'] }} {{ m['content'] }} {% endfor %}"


def write_model(folder):
    special = ["<s>", "</s>", "<unk>"]
    vocab = {word: number for number, word in enumerate(special + WORDS + ENDS)}
    tokenizer = Tokenizer(models.WordLevel(vocab, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    named = dict(zip(("bos_token", "eos_token", "unk_token"), special))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=tokenizer, chat_template=TEMPLATE, **named)
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(vocab),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        bos_token_id=0,
        eos_token_id=1,
    )
    model = LlamaForCausalLM(config)
    model.generation_config.do_sample = True  # or temperature means nothing
    model.generation_config.eos_token_id = [vocab[word] for word in ["</s>", *ENDS]]
    model.save_pretrained(folder)


class Counter(logging.Handler):
    calls = 0

    def emit(self, record):
        _, method, path, _, status = record.args
        self.calls += (method, path, status) == ("POST", "/v1/chat/completions", 200)


def main():
    signal.alarm(600)
    # stdout is for the test alone; uvicorn writes its log to it.
    out, sys.stdout = sys.stdout, sys.stderr
    folder = str(Path(sys.argv[1]).resolve())
    write_model(folder)
    torch.set_num_threads(1)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    serve = Serve(folder, host="127.0.0.1", port=port, device="cpu", non_blocking=True)
    counter = Counter()
    logging.getLogger("uvicorn.access").addHandler(counter)
    while not serve.server.started:
        serve._thread.join(0.05)
        if not serve._thread.is_alive():
            sys.exit("the server did not start")
    print(json.dumps({"url": f"http://127.0.0.1:{port}/v1", "model": folder}), file=out, flush=True)
    for _ in sys.stdin:
        print(json.dumps({"calls": counter.calls}), file=out, flush=True)
    os._exit(0)


main()
