"""Writes tests/golden/tokenizers/: small tokenizer.json files in the shapes of the families that
baton runs, trained here, with the token ids that the `tokenizers` library gives for awkward texts;
and SentencePiece's own files (NAME.model) with what `sentencepiece` gives.

    make_tokenizer_golden.py FOLDER [--more N]

--more N adds N random texts, for a comparison that is not to be committed.
"""

import argparse
import json
import pathlib
import random
import tempfile

import sentencepiece
from sentencepiece import sentencepiece_model_pb2
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers
from tokenizers import pre_tokenizers, processors, trainers

CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
LETTERS_END = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
LLAMA3 = CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}" + LETTERS_END
QWEN2 = CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}" + LETTERS_END
CL100K = (r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*"
          r"|\s*[\r\n]|\s+(?!\S)|\s+")
UPPER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]"
LOWER = r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
WORDS = (r"[^\r\n\p{L}\p{N}]?" + UPPER + "*" + LOWER + "+%s|[^\\r\\n\\p{L}\\p{N}]?" + UPPER + "+"
         + LOWER + "*%s|")
WORDS_END = r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
TEKKEN = WORDS % ("", "") + r"\p{N}" + WORDS_END
O200K = WORDS % (CONTRACTIONS + "?", CONTRACTIONS + "?") + r"\p{N}{1,3}" + WORDS_END
DEEPSEEK_V3 = (r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?"
               r"[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
KANA = "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+"
CJK = "[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+"

CORPUS = [
    "The quick brown fox jumps over the lazy dog, and it's the dog's fault; they'll say we've lost.",
    "Hello, World! I don't know what you'd want, but HELLO WORLD is what I'm printing.",
    "def main(argc, argv):\n    for i in range(100):\n        print(f\"{i:03d} {argv[i]}\")\n",
    "int main() {\n\treturn 0;  // nothing\n}\n\n#include <vector>\n",
    "In 2024 there were 1234567 people and 3.14159 of them, 10 000 or 12,345.67 in all.",
    "Der schnelle braune Fuchs springt über den faulen Hund; Größe, Straße, Äpfel.",
    "Le cœur a ses raisons que la raison ne connaît point. Élève, garçon, naïve, œuvre.",
    "Съешь же ещё этих мягких французских булок, да выпей чаю.",
    "Ξεσκεπάζω την ψυχοφθόρα βδελυγμία.",
    "我能吞下玻璃而不伤身体。今天天气很好，我们去公园。",
    "いろはにほへと ちりぬるを。カタカナ と ひらがな。東京は日本の首都です。",
    "키스의 고유조건은 입술끼리 만나야 하고 특별한 기술은 필요치 않다.",
    "नमस्ते दुनिया, यह एक परीक्षण है।",
    "السلام عليكم ورحمة الله وبركاته",
    "สวัสดีชาวโลก นี่คือการทดสอบ",
    "😀 😃 👨‍👩‍👧‍👦 🇩🇪 👍🏽 ❤️ emoji everywhere 🎉🎉",
    "{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Paris\", \"unit\": \"celsius\"}}",
    "<html><body class=\"x\">a &amp; b</body></html>",
    "SELECT * FROM users WHERE id = 42 AND name LIKE '%son';",
    "camelCaseWord PascalCaseWord snake_case_word SCREAMING_SNAKE kebab-case-word XMLHttpRequest",
]

TEXTS = [
    "", " ", "  ", "   ", "\n", "\n\n", "\n\n\n", "\t", "\t\t", "\r\n", "\r\n\r\n", " \n", "\n ",
    " \n \n ", "a", " a", "  a", "a ", "a  ", " a ", "   a   b   ", "Hello", " Hello", "Hello world",
    " Hello world", "Hello, world!", "Hello\nworld", "Hello\n\n  world\t!", "HELLO WORLD",
    "HelloWorld", "helloWorld XMLHttpRequest iPhone", "don't DON'T I'm I'M we'll WE'LL 'tis he'D",
    "it's\u2019s 'S 'ſ 'K \u212a'\u017f", "1", "12", "123", "1234", "12345", "1234567890", "3.14159",
    "1,234,567.89", "a1b2c3", "2024-01-02T03:04:05Z", "٠١٢٣٤٥٦٧٨٩", "१२३", "Ⅷ ⅷ ² ³ ½ ①②③", "𝟘𝟙𝟚",
    "...", "!!!", "?!?!", "a...b", "foo(bar)[baz]{qux}", "<|", "|>", "<|im_start|>", "<|im_end|>",
    "<s>", "</s>", "<unk>", "<0x41>", "<0x0A>", "\u2581", "a\u2581b", "\u2581\u2581a", "▁ a",
    "<|im_start|>user\nhi<|im_end|>\n", "<tool_call>{}</tool_call>", "x<|im_end|>y", "<|im_end|>  y",
    " <|im_end|> ", "<|im_end|><|im_end|>", "<|IM_END|>", "[lstrip] a", "b   [lstrip]a", "a[rstrip]   b",
    "word [single] word", "word[single]word", "[single]", "x[single] ", "[both]", "a  [both]  b",
    "[NORM]", "[norm]", "a [Norm] b", "  [norm]", "ａ[norm]", "[LSTRIP]  [rstrip]  [single]",
    "é", "e\u0301", "\u0301", "a\u0301\u0302\u0316b", "\u0316\u0301\u0316\u0301", "ﬁ ﬂ ﬀ", "Å \u212b A\u030a",
    "ß ẞ SS İ ı I i\u0307", "ǆ ǅ Ǆ", "Σίσυφος ΣΊΣΥΦΟΣ", "中文", "中文 中文", "我能吞下玻璃而不伤身体。", "カタカナ",
    "ｶﾞ ガ ガ", "한국어 한국어", "한", "\u1112\u1161\u11ab", "ไทย ภาษา", "हिन्दी क्षत्रिय",
    "العربية ‏ ‎", "עברית", "😀", "👨‍👩‍👧‍👦", "👍🏽", "🇩🇪🇫🇷", "❤️", "1️⃣", "🏴\U000e0067\U000e0062\U000e007f",
    "a\u200bb", "a\u200db", "a\u00a0b", "\u00a0\u00a0", "\u2003x\u2003", "\u3000中\u3000", "a\u2028b\u2029c",
    "\u0085", "x\u0085y", "\u180e", "\ufeffbom", "\ufffd", "\ufffe\uffff", "\x00", "a\x00b", "\x01\x02\x1f\x7f",
    "\x80\x9f", "\x0b\x0c\x1c\x1d\x1e\x1f", "\U0010ffff", "\U000e0001", "\U0001f1e6", "𐍈𐍈", "𝓗𝓮𝓵𝓵𝓸", "Ⓗⓔⓛⓛⓞ",
    "ÄÖÜäöüß", "ŒœÆæ", "Ǆungla", "Ĳssel", "ʼn ŉ", "ſt ﬅ ﬆ", "℃ № ™ ©®", "a/b\\c", "C:\\Users\\x", "http://a.b/c?d=e&f#g",
    "user@example.com", "#hashtag @user $100 100% ^~`", "// comment\n/* block */\n", "    indented\n\tx\n        y\n",
    "def f(x):\n    return x**2  # square\n\n\n", "{\"a\": [1, 2, {\"b\": null}]}\n", "a" * 70, " " * 40 + "x", "\n" * 12,
    "ab" * 40, "=" * 33, "-" * 64 + "\n", "x" + " " * 17, "1" * 31, "! " * 12, "'" * 9, "\"quoted\" 'single'",
    "end.\n\nNext paragraph.  Two spaces.", "tab\tseparated\tvalues\n1\t2\t3\n", "mixed 中文 and English 混合 text",
    "a,b;c:d.e", "（全角）：，。！？", "“curly” ‘quotes’ — dash – en … dots", "word.Word.word", "\\n\\t\\u0041", "%20%2F",
    "A B C", "aAaA AaAa", "ÀÉÎ àéî ÀéÎ", "ЁЖ ёж ЁжЪ", "i̇", "\u0345", "\u00ad", "\u034f\u115f\u3164", "🤷🏻‍♀️ shrug",
    "line one\r\nline two\rline three\n", " leading", "trailing ", "double  space", "non\u2011breaking\u202fspace",
]


def random_texts(count, seed=7):
    rng = random.Random(seed)
    words = sorted({w for line in CORPUS for w in line.split(" ")})
    ranges = [(0x20, 0x7E), (0x20, 0x7E), (0, 0x24F), (0x300, 0x36F), (0x370, 0x5FF), (0x900, 0xDFF),
              (0x1E00, 0x2BFF), (0x3000, 0x30FF), (0x4E00, 0x4F00), (0xAC00, 0xAD00), (0xF900, 0xFFFF),
              (0x10000, 0x10FFF), (0x1D400, 0x1D7FF), (0x1F300, 0x1FAFF), (0x20000, 0x200FF)]
    spaces = [" ", "  ", "\n", "\n\n", "\t", "\r\n", "\u00a0", "\u3000", "\u2028", "   "]
    specials = ["<|im_start|>", "<|im_end|>", "<tool_call>", "[lstrip]", "[rstrip]", "[single]",
                "[both]", "[norm]", "[Norm]", "<s>", "</s>", "<unk>", "<0x41>", "\u2581"]
    texts = []
    for _ in range(count):
        parts = []
        for _ in range(rng.randint(1, 12)):
            kind = rng.random()
            if kind < 0.35:
                parts.append(rng.choice(words))
            elif kind < 0.55:
                parts.append(rng.choice(spaces))
            elif kind < 0.62:
                parts.append(rng.choice(specials))
            elif kind < 0.7:
                parts.append(str(rng.randint(0, 10 ** rng.randint(1, 9))))
            else:
                low, high = rng.choice(ranges)
                parts.append("".join(chr(rng.randint(low, high)) for _ in range(rng.randint(1, 5))))
        texts.append("".join(parts))
    return texts


def byte_level(split, normalizer=None, prefix=False, **model):
    tokenizer = Tokenizer(models.BPE(**model))
    if normalizer:
        tokenizer.normalizer = normalizer
    steps = [pre_tokenizers.Split(Regex(s) if isinstance(s, str) else s[0], "isolated")
             if not hasattr(s, "pre_tokenize") else s for s in split]
    steps.append(pre_tokenizers.ByteLevel(add_prefix_space=prefix, use_regex=not split))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(steps) if len(steps) > 1 else steps[0]
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=700, show_progress=False,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator(CORPUS * 2, trainer)
    return tokenizer


def with_chat_tokens(tokenizer):
    tokenizer.add_special_tokens(["<|im_start|>", "<|im_end|>", "<s>", "</s>"])
    tokenizer.add_tokens([AddedToken("<tool_call>", normalized=False),
                          AddedToken("</tool_call>", normalized=False)])
    return tokenizer


def with_odd_tokens(tokenizer):
    tokenizer.add_tokens([
        AddedToken("[lstrip]", lstrip=True, normalized=False),
        AddedToken("[rstrip]", rstrip=True, normalized=False),
        AddedToken("[single]", single_word=True, normalized=False),
        AddedToken("[both]", lstrip=True, rstrip=True, normalized=False),
        AddedToken("[norm]", normalized=True),
    ])
    tokenizer.add_special_tokens([AddedToken("[Norm]", normalized=True, special=True)])
    return tokenizer


def with_bos(tokenizer, bos):
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{bos} $A", pair=f"{bos} $A {bos} $B",
        special_tokens=[(bos, tokenizer.token_to_id(bos))])
    return tokenizer


def sentencepiece_bpe(normalizer, pre_tokenizer, decoder, **model):
    """BPE over characters with byte fallback, as converters write it for SentencePiece models."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", **model))
    tokenizer.normalizer = normalizer
    if pre_tokenizer:
        tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.decoder = decoder
    specials = ["<unk>", "<s>", "</s>"] + [f"<0x{b:02X}>" for b in range(256)]
    trainer = trainers.BpeTrainer(vocab_size=900, show_progress=False, special_tokens=specials)
    corpus = CORPUS if pre_tokenizer else [w for line in CORPUS for w in line.split(" ")]
    tokenizer.train_from_iterator(corpus, trainer)
    # The trainer made the bytes special; real files do not.
    data = json.loads(tokenizer.to_str())
    data["added_tokens"] = data["added_tokens"][:3]
    return Tokenizer.from_str(json.dumps(data))


def unigram(normalizer, pre_tokenizer, decoder, byte_fallback=False):
    trainer = trainers.UnigramTrainer(vocab_size=600, show_progress=False, unk_token="<unk>",
                                      special_tokens=["<pad>", "</s>", "<unk>"])
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.decoder = decoder
    tokenizer.train_from_iterator(CORPUS * 3, trainer)
    data = json.loads(tokenizer.to_str())
    if byte_fallback:
        data["model"]["byte_fallback"] = True
        data["model"]["vocab"] += [[f"<0x{b:02X}>", 0.0] for b in range(256)]
    return Tokenizer.from_str(json.dumps(data))


def charsmap(rules):
    """What SentencePiece compiles of [(from, to)], or of the rules that it knows by a name."""
    with tempfile.TemporaryDirectory() as folder:
        options = {"normalization_rule_name": rules}
        if not isinstance(rules, str):
            path = pathlib.Path(folder) / "rules.tsv"
            path.write_text("".join(" ".join(f"{ord(c):X}" for c in a) + "\t"
                                    + " ".join(f"{ord(c):X}" for c in b) + "\n" for a, b in rules))
            options = {"normalization_rule_tsv": str(path)}
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(CORPUS), model_prefix=f"{folder}/m", vocab_size=400,
            hard_vocab_limit=False, minloglevel=2, **options)
        proto = sentencepiece_model_pb2.ModelProto()
        proto.ParseFromString(pathlib.Path(f"{folder}/m.model").read_bytes())
        return proto.normalizer_spec.precompiled_charsmap


def make():
    no_space = decoders.Sequence([decoders.Replace("\u2581", " "), decoders.ByteFallback(),
                                  decoders.Fuse()])
    one_space = decoders.Sequence([decoders.Replace("\u2581", " "), decoders.ByteFallback(),
                                   decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    llama2 = normalizers.Sequence([normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")])
    digits = pre_tokenizers.Digits(individual_digits=True)
    yield "llama3", with_bos(with_chat_tokens(byte_level([LLAMA3], ignore_merges=True)), "<s>")
    yield "qwen2", with_odd_tokens(with_chat_tokens(byte_level([QWEN2], normalizers.NFC())))
    yield "tekken", with_chat_tokens(byte_level([TEKKEN], ignore_merges=True))
    yield "o200k", with_chat_tokens(byte_level([O200K]))
    yield "cl100k", with_chat_tokens(byte_level([CL100K]))
    yield "deepseek-llm", with_chat_tokens(byte_level([
        "[\r\n]", "\\s?\\p{L}+", "\\s?\\p{P}+", "\\s+$", CJK, digits]))
    yield "deepseek-v3", with_chat_tokens(byte_level(["\\p{N}{1,3}", KANA, DEEPSEEK_V3]))
    yield "gpt2", with_odd_tokens(with_chat_tokens(byte_level([])))
    yield "gpt2-prefix", with_odd_tokens(byte_level([], prefix=True))
    yield "smollm", with_chat_tokens(byte_level([digits, pre_tokenizers.Split(Regex("'s|'t"), "removed")]))
    yield "llama2", with_odd_tokens(sentencepiece_bpe(llama2, None, one_space, byte_fallback=True,
                                                      fuse_unk=True))
    yield "mistral", with_odd_tokens(sentencepiece_bpe(
        normalizers.Sequence([]), pre_tokenizers.Metaspace(prepend_scheme="first", split=False),
        one_space, byte_fallback=True, fuse_unk=True))
    yield "gemma", with_chat_tokens(sentencepiece_bpe(
        normalizers.Replace(" ", "\u2581"), pre_tokenizers.Split(" ", "merged_with_previous"), no_space,
        byte_fallback=True, fuse_unk=True))
    yield "bpe-unknown", sentencepiece_bpe(
        normalizers.Lowercase(), pre_tokenizers.Metaspace(), decoders.Metaspace(), fuse_unk=False)
    yield "bpe-fused", sentencepiece_bpe(
        normalizers.Sequence([normalizers.Strip(), normalizers.NFKD(), normalizers.StripAccents()]),
        pre_tokenizers.Metaspace(prepend_scheme="never"), decoders.Metaspace(prepend_scheme="never"),
        fuse_unk=True)
    yield "t5", with_odd_tokens(unigram(
        normalizers.Sequence([normalizers.Precompiled(charsmap(SMALL_MAP)),
                              normalizers.Replace(Regex(" {2,}"), " ")]),
        pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()]),
        decoders.Metaspace()))
    yield "unigram-bytes", unigram(
        normalizers.NFKC(), pre_tokenizers.Metaspace(prepend_scheme="first"), one_space, True)
    yield "behaviors", byte_level([
        pre_tokenizers.Split(",", "merged_with_previous"),
        pre_tokenizers.Split(Regex("[A-Z]"), "merged_with_next"),
        pre_tokenizers.Split(Regex("[0-9]+"), "contiguous"),
        pre_tokenizers.Split(Regex("\\w+|\\s"), "removed", invert=True),
        pre_tokenizers.Split(Regex("(?=[xyz])"), "isolated"),
        pre_tokenizers.Punctuation("contiguous")],
        normalizers.Sequence([normalizers.NFD(), normalizers.Replace(Regex("^\\s+|\\s+$"), "")]))
    yield "words", byte_level([pre_tokenizers.Whitespace(), pre_tokenizers.Digits(),
                               pre_tokenizers.CharDelimiterSplit("-")])
    yield "bert-words", byte_level([pre_tokenizers.BertPreTokenizer()], normalizers.Lowercase())


# Too large to commit.
def make_more():
    nmt = charsmap("nmt_nfkc")
    yield "xlm", with_odd_tokens(unigram(
        normalizers.Sequence([normalizers.Precompiled(nmt), normalizers.Replace(Regex(" {2,}"), " ")]),
        pre_tokenizers.Metaspace(prepend_scheme="always"), decoders.Metaspace()))
    folded = charsmap("nmt_nfkc_cf")
    yield "xlm-folded", unigram(
        normalizers.Precompiled(folded), pre_tokenizers.Metaspace(), decoders.Metaspace())


def write(folder, name, tokenizer, texts):
    document = json.loads(tokenizer.to_str())
    path = folder / f"{name}.json"
    path.write_text(json.dumps(document, ensure_ascii=False, separators=(",", ":")) + "\n")
    tokenizer = Tokenizer.from_file(str(path))
    ids = [tokenizer.encode(text, add_special_tokens=False).ids for text in texts]
    # Behind a normalizer that puts something in front, the library spells normalized tokens with it.
    odd = {tokenizer.token_to_id(t) for t in ("[norm]", "[Norm]")} if name == "llama2" else set()
    decoded = [None if odd & set(i) else tokenizer.decode(i, skip_special_tokens=True) for i in ids]
    cases = {"tokenizer": path.name, "ids": ids, "decoded": decoded}
    (folder / f"{name}.cases.json").write_text(json.dumps(cases, separators=(",", ":")) + "\n")


SMALL_MAP = [("\uFF21", "A"), ("\uFF41", "a"), ("\uFB01", "fi"), ("\u00A0", " "), ("\u3000", " "),
             ("e\u0301", "\u00e9"), ("\u2026", "..."), ("\u212B", "\u00c5"), ("\u200B", " "),
             ("\t", " "), ("\n", " "), ("\u0301", "")]

# What make_sentencepiece() trains: SentencePiece's own files, in the ways that models use it.
SENTENCEPIECE = {
    "sp-llama": dict(model_type="bpe", byte_fallback=True, remove_extra_whitespaces=False,
                     split_digits=True, allow_whitespace_only_pieces=True,
                     normalization_rule_name="identity"),
    "sp-gemma": dict(model_type="bpe", byte_fallback=True, remove_extra_whitespaces=False,
                     add_dummy_prefix=False, normalization_rule_name="identity", pad_id=3,
                     control_symbols=["<mask>"],
                     user_defined_symbols=["\u2581\u2581", "\u2581\u2581\u2581", "\n\n", "<tool_call>",
                                           "[single]", "quick brown", "\u4e2d\u6587"]),
    "sp-bpe-unknown": dict(model_type="bpe", rules=SMALL_MAP, user_defined_symbols=["...", "fi"]),
    "sp-t5": dict(model_type="unigram", rules=SMALL_MAP, bos_id=-1, eos_id=1, unk_id=2, pad_id=0),
    "sp-unigram-bytes": dict(model_type="unigram", byte_fallback=True, add_dummy_prefix=False,
                             remove_extra_whitespaces=False, normalization_rule_name="identity",
                             user_defined_symbols=["<tool_call>", "\u2581\u2581", "[both]"]),
}


def make_sentencepiece(rules=None, **options):
    with tempfile.TemporaryDirectory() as folder:
        if rules:
            path = pathlib.Path(folder) / "rules.tsv"
            path.write_text("".join(" ".join(f"{ord(c):X}" for c in a) + "\t"
                                    + " ".join(f"{ord(c):X}" for c in b) + "\n" for a, b in rules))
            options["normalization_rule_tsv"] = str(path)
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(CORPUS * 2), model_prefix=f"{folder}/m", vocab_size=700,
            hard_vocab_limit=False, minloglevel=2, character_coverage=0.98, **options)
        return pathlib.Path(f"{folder}/m.model").read_bytes()


def write_sentencepiece(folder, name, model, texts):
    proto = sentencepiece_model_pb2.ModelProto.FromString(model)
    for field in ("input", "model_prefix", "normalization_rule_tsv"):
        proto.trainer_spec.ClearField(field) if hasattr(proto.trainer_spec, field) else None
    proto.normalizer_spec.ClearField("normalization_rule_tsv")
    (folder / f"{name}.model").write_bytes(proto.SerializeToString())
    processor = sentencepiece.SentencePieceProcessor(model_file=str(folder / f"{name}.model"))
    ids = [processor.encode(text) for text in texts]
    unknown = processor.unk_id()
    decoded = [None if unknown in i else processor.decode(i) for i in ids]
    cases = {"tokenizer": f"{name}.model", "ids": ids, "decoded": decoded}
    (folder / f"{name}.cases.json").write_text(json.dumps(cases, separators=(",", ":")) + "\n")


# GGUF's names of pre-tokenizers, and the expressions of those models' tokenizer.json, each isolated.
THREES = r"\p{N}{1,3}"
HAN_WORDS = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*"
             r"[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?"
             r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*"
             r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?")
GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)"
PRE_TOKENIZERS = {
    "kimi-k2": [r"[\p{Han}]+|" + HAN_WORDS + r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"],
    "superbpe": [r"\p{N}+", r"(?=(\d{3})+(?!\d))"],
    "tiny_aya": [r"\d{1,3}(?=(?:\d{3})*\b)", O200K],
    "afmoe": [r"\p{N}{1,3}(?=(?:\p{N}{3})*(?!\p{N}))",
              "[\u4e00-\u9fff\u3400-\u4dbf\uf900-\ufaff\u3040-\u309f\u30a0-\u30ff\uff65-\uff9f\u2f00-\u2fdf"
              "\u0e40-\u0e7f\u0e80-\u0eff\u1780-\u17ff\u1000-\u109f\uaa60-\uaa7f\ua9e0-\ua9ff\uac00-\ud7af"
              "\u1100-\u11ff]+", DEEPSEEK_V3],
    "youtu": ["[\uac00-\ud7a3\u3131-\u318e]+|[\uff01\u2026\u201c\u201d\u2018\u2019\u2014\uff1a\uff1b\uff0c\u3001-\u303f"
              "\ufe30-\ufe4f]+|[\u3105-\u312f]+|[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+",
              WORDS % (CONTRACTIONS + "?", CONTRACTIONS + "?") + r"\p{N}" + WORDS_END],
    "chameleon": [r"<sentinel:[0-9]+>", r"(IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z", r"([\t\n]|    |  )", r"\p{N}",
                  r"[\p{P}!-/:-@\[-`{-~]", GPT2],
    "exaone-moe": [CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+|\p{N}"
                   r"| ?[^\s\p{L}\p{N}]+[\r\n/]?|\s*[\r\n]|\s+(?!\S)|\s+"],
    "minicpm5": [r"\p{N}{1,3}", CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}+" + LETTERS_END],
    "jais-2": [CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
               + "".join(r"|\s{%d}(?!\S)" % n for n in (512, 256, 128, 64, 32, 16, 8, 4))
               + r"|\s{1,2}(?!\S)|\s{1}"],
    "spark2_5": [THREES, KANA, r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?"
                 r"[\p{L}\p{M}]+| ?[\p{P}\p{S}]+|[\r\n]|\s+(?!\S)|\s+", r"\p{N}"],
    "ufakzeka": [r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}" + LETTERS_END],
    "laguna": [r"[^\n]+|[\n]+", QWEN2],
}
PRE_TOKENIZER_TEXTS = [
    "Hello, World! don't DON'T I'll", "1 12 123 1234 1234567 12345678.90 x1234y 1234_", "\u0661\u0662\u0663\u0664 \u2167\u21671234\u216712345",
    "\u4e2d\u6587ABC\u4e2d\u6587 12\u4e2d 34", "\u30ab\u30bf\u30ab\u30ca \u3072\u3089\u304c\u306a\u3001\u6771\u4eac\u3002\uff01", "\ud55c\uad6d\uc5b4 \u3131\u3132 \u1112\u1161\u11ab", "\u0e44\u0e17\u0e22 \u0e20\u0e32\u0e29\u0e32 \u0eaa",
    "camelCase HTTPServer \u00c9cole e\u0301tude", "a  b    c\n\n  d\t\te \n", " \n \r\n\r\n x " + " " * 37 + "y" + " " * 5,
    "(foo/bar)\\n//...!!?\n", "\u201cq\u201d \u2026\u2014 a\u2019s", "<sentinel:12> IMGIMGABZ IMGIMGX", "word word\u0301 word. Word", "T\u00fcrkiye'nin 5'te", "", " ",
    "\u3105\u3106 \uf900 \uff76\uff9e", "def f(x):\n    return x**2\n\n\n", "emoji \U0001f600\U0001f600 1\ufe0f\u20e3",
]


def write_pre_tokenizers(folder):
    cases = {}
    for name, expressions in PRE_TOKENIZERS.items():
        cutter = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(e), "isolated") for e in expressions])
        cases[name] = [[piece for piece, _ in cutter.pre_tokenize_str(text)] for text in PRE_TOKENIZER_TEXTS]
    document = {"texts": PRE_TOKENIZER_TEXTS, "pieces": cases}
    (folder / "pre_tokenizers.json").write_text(json.dumps(document, separators=(",", ":")) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--more", type=int, default=0)
    parser.add_argument("--sentencepiece", action="store_true", help="no tokenizer.json files")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    texts = TEXTS + random_texts(arguments.more or 40)
    (arguments.folder / "texts.json").write_text(json.dumps(texts, indent=0) + "\n")
    for name, options in SENTENCEPIECE.items():
        write_sentencepiece(arguments.folder, name, make_sentencepiece(**options), texts)
    write_pre_tokenizers(arguments.folder)
    if arguments.sentencepiece:
        return
    for name, tokenizer in make():
        write(arguments.folder, name, tokenizer, texts)
    if arguments.more:
        for name, tokenizer in make_more():
            write(arguments.folder, name, tokenizer, texts)


if __name__ == "__main__":
    main()
