"""Token ids of varied captions by open_clip and transformers: `captions.py --out DIR`.

What is compared, and why: captions of shops hold HTML entities, curly quotes, mojibake, emoji, other scripts
and endless keyword lists. open_clip cleans them (ftfy, html.unescape twice, white space, lower case) before
its byte-pair encoding; transformers does only what tokenizer.json states. The data crate offers both and must
give the same ids.

Writes tokenizer.json (see clip_tokenizer.py) and captions.json: a list of
{text, open_clip, hf}, each id list without padding, cut to 77 with the end token last.
"""

import argparse
import json
import random
from pathlib import Path

import open_clip
from clip_tokenizer import clip_tokenizer

BY_HAND = [
    "", " ", "a", "A red dress", "  two   spaces\tand tabs\nand lines\r\n", "Women's T-shirt, men's & kid's",
    "it's we're they've I'm she'll he'd O'Neill's", "50% off!!! $19.99 (was $24.99)", "5-pack 1/2\" x 3.5mm",
    "red &amp; blue", "red &amp;amp; blue", "&lt;b&gt;bold&lt;/b&gt;", "5 &times; 3 &frac12; &eacute;t&eacute;",
    "&#39;quoted&#39; &#x27;hex&#x27; &nbsp;nbsp&nbsp;", "&notanentity; &amp &copy 2020", "a &lt; b <br> c",
    "\u201ccurly\u201d and \u2018single\u2019 \u2014 dash \u2013 en \u2026", "caf\u00e9 cafe\u0301 na\u00efve r\u00e9sum\u00e9",
    "caf\u00c3\u00a9 chair", "It\u00e2\u20ac\u2122s a \u00e2\u20ac\u0153quoted\u00e2\u20ac\u009d lamp",
    "l\u00c3\u00a4mp f\u00c3\u00bcr gro\u00c3\u0178e T\u00c3\u00bcren", "\u00c2\u00a325.00 \u00e2\u201a\u00ac30", "\u00ef\u00bb\u00bfBOM first",
    "\ufb01ne \ufb02oor o\ufb00er", "\uff26\uff35\uff2c\uff2c\uff37\uff29\uff24\uff34\uff28 \uff11\uff12\uff13", "\u30cf\u30fc\u30d5 \uff8a\uff70\uff8c",
    "\u8d64\u3044\u30c9\u30ec\u30b9 \u7ea2\u8272\u8fde\u8863\u88d9", "\ube68\uac04 \ub4dc\ub808\uc2a4", "\u043a\u0440\u0430\u0441\u043d\u043e\u0435 \u043f\u043b\u0430\u0442\u044c\u0435", "\u0641\u0633\u062a\u0627\u0646 \u0623\u062d\u0645\u0631",
    "\u05e9\u05de\u05dc\u05d4 \u05d0\u05d3\u05d5\u05de\u05d4", "\u0e0a\u0e38\u0e14\u0e2a\u0e35\u0e41\u0e14\u0e07", "\u0932\u093e\u0932 \u092a\u094b\u0936\u093e\u0915", "\u039a\u03cc\u03ba\u03ba\u03b9\u03bd\u03bf \u03a6\u03cc\u03c1\u03b5\u03bc\u03b1 \u039f\u0394\u039f\u03a3",
    "\U0001f457 dress \U0001f60d\U0001f60d sale \U0001f525", "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466 family \U0001f44d\U0001f3fd", "\u2764\ufe0f heart \u2665 \u2713 \u2605\u2605\u2605\u2605\u2606",
    "\u212b \u00c5 A\u030a", "\u0130stanbul I\u0307 \u0131", "stra\u00dfe STRASSE \u1e9e", "x\u00b2 + y\u00b3 = z\u2074", "\u2460\u2461\u2462 \u00bd \u2153 \u216b",
    "soft\u00adhyphen zero\u200bwidth no\u2060break", "left\u200eright\u200f marks", "nul\x00 bell\x07 escape\x1b[31mred\x1b[0m end",
    "vertical\x0btab form\x0cfeed \x1c\x1d\x1e\x1f separators", "next\u0085line line\u2028sep para\u2029sep", "\u00a0nbsp\u00a0\u2003em\u2003\u3000wide\u3000",
    "UPPER lower MiXeD", "snake_case kebab-case camelCase", "http://example.com/p?id=1&ref=a#top", "user@example.com #tag @name",
    "8.5x11in 220V/60Hz 1,000mAh", "\u00b110\u00b0C \u2264 5\u03bcm \u2192 ok", "!!!???...,,,;;;", "''''s 's's ''t", "a'sb 'S 'T 'RE 'VE",
    "1234567890", "12a34b", "\u0661\u0662\u0663 \u0967\u0968\u0969", "\u4e00\u4e8c\u4e09", "e\u0301\u0301\u0301", "Z\u0351\u036b\u0343\u036aalgo",
    "word " * 100, "supercalifragilisticexpialidocious " * 12, "x" * 400, "\U0001f525" * 60, "\u8d64" * 120, "!" * 300,
    " ".join("w%d" % i for i in range(60)), "one two three " * 24 + "end",
    "<|unknown|> [SEP] [CLS] </s>", "\\n \\t \\u00e9 backslashes", "tabs\t\t\tand\u0020\u0020spaces ", "trailing space ", " leading",
]

ADJECTIVES = ["red", "Navy-Blue", "OFF WHITE", "caf\u00e9-au-lait", "vintage 70's", "Women\u2019s", "men's", "kids&#39;", "hand\u2013made", "100%"]
NOUNS = ["dress", "T-Shirt", "cr\u00e8me br\u00fbl\u00e9e set", "sofa (3-seater)", "lamp & shade", "jeans \u2013 slim fit", "\u9774 shoes", "mug &amp; saucer", "rug 5'x7'", "iPhone\u00ae case"]
EXTRAS = ["", "!!!", " | free shipping \U0001f69a", " - $12.50", " \u2605 4.8/5", ", size XL/XXL", " \u00e2\u20ac\u201c new", " \u201cbest\u201d", " &ndash; 2 pcs", " \u00d7 10"]


def captions():
    rng = random.Random(0)
    texts = list(BY_HAND)
    while len(texts) < 260:
        words = [rng.choice(ADJECTIVES) for _ in range(rng.randint(1, 3))] + [rng.choice(NOUNS)]
        text = rng.choice([" ", "  ", "\u00a0"]).join(words) + rng.choice(EXTRAS)
        if rng.random() < 0.1:
            text = text.encode("utf-8").decode("windows-1252", errors="ignore")
        if rng.random() < 0.1:
            text = "; ".join([text] * 9)
        texts.append(text)
    return texts


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    hf = clip_tokenizer()
    hf.save_pretrained(out)
    theirs = open_clip.tokenizer.SimpleTokenizer()
    rows = []
    for text in captions():
        ids = theirs([text])[0].tolist()
        rows.append({
            "text": text,
            "open_clip": ids[: ids.index(theirs.eot_token_id) + 1],
            "hf": hf(text, truncation=True, max_length=77)["input_ids"],
        })
    (out / "captions.json").write_text(json.dumps(rows))


if __name__ == "__main__":
    main()
