"""CLIP's byte-pair tokenizer as a Hugging Face directory, built without downloading anything.

What is compared, and why: the merge table that ships inside the open_clip package is OpenAI's own, so the
files written here with all merges are the tokenizer of every OpenAI and LAION CLIP (49,408 ids,
`<|startoftext|>` 49406, `<|endoftext|>` 49407, and the same id for every token as open_clip's own
tokenizer). With fewer merges it is a small tokenizer of the same kind, for small random models.

`clip_tokenizer.py --out DIR [--merges N] [--context T]` writes tokenizer.json and tokenizer_config.json.
"""

import argparse
import gzip
from pathlib import Path

FULL_MERGES = 49152 - 256 - 2


def clip_tokenizer(merges=FULL_MERGES, context=77, extra=()):
    """A `transformers.CLIPTokenizer` with the first `merges` merges; `extra` tokens get ids above the end token."""
    import open_clip
    from open_clip.tokenizer import bytes_to_unicode
    from transformers import CLIPTokenizer

    table = Path(open_clip.__file__).parent / "bpe_simple_vocab_16e6.txt.gz"
    lines = gzip.decompress(table.read_bytes()).decode("utf-8").split("\n")
    pairs = [tuple(line.split()) for line in lines[1 : 1 + merges]]
    alphabet = list(bytes_to_unicode().values())
    tokens = alphabet + [token + "</w>" for token in alphabet] + ["".join(pair) for pair in pairs]
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    vocab = {token: index for index, token in enumerate(tokens)}
    if len(vocab) != len(tokens):
        raise ValueError(f"{len(tokens) - len(vocab)} of {len(tokens)} tokens occur twice")
    tokenizer = CLIPTokenizer(vocab=vocab, merges=pairs, model_max_length=context)
    if extra:
        tokenizer.add_tokens(list(extra))
    return tokenizer


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--merges", type=int, default=FULL_MERGES, help="how many merges to keep (default: all)")
    parser.add_argument("--context", type=int, default=77, help="tokens per caption, both special ones included")
    args = parser.parse_args()
    tokenizer = clip_tokenizer(args.merges, args.context)
    tokenizer.save_pretrained(args.out)
    print(f"{args.out}: {len(tokenizer)} tokens, end token {tokenizer.eos_token_id}")


if __name__ == "__main__":
    main()
