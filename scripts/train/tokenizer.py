"""The tokenizer: a SentencePiece unigram model whose pieces are the world's words, in both languages.

The list is built from the words instead of trained: training a unigram model on captions from templates merges
whole Chinese phrases into one piece and leaves English in fragments. English words carry the word-start mark,
Chinese words come with and without it, and single characters cover the rest. Case folding and width folding
(nmt_nfkc_cf) are inside the model, so capitals do not matter. No user-defined symbols and no byte fallback: with
either, transformers' T5Tokenizer gives other ids than SentencePiece.
"""

import io
import math
import string
import sys

import sentencepiece
from sentencepiece import sentencepiece_model_pb2 as pb
from transformers import T5Tokenizer

import settings
from world import captions

_START = "\u2581"


def _folding():
    """The precompiled character map of nmt_nfkc_cf, out of a throw-away model."""
    out = io.BytesIO()
    lines = iter([" ".join(string.ascii_lowercase)] * 20)
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=lines, model_writer=out, vocab_size=30, hard_vocab_limit=False,
        normalization_rule_name="nmt_nfkc_cf", minloglevel=2)
    model = pb.ModelProto()
    model.ParseFromString(out.getvalue())
    return model.normalizer_spec


def pieces():
    """(piece, score): whole words first, characters as a last resort."""
    listed = {}
    words = captions.vocabulary()
    characters = set(string.ascii_lowercase + string.digits + ".,!?'\"-:;()") | {_START}
    for word in words:
        chinese = any(ord(c) > 0x2E80 for c in word)
        score = -6.0 - 0.01 * len(word)
        listed[_START + word] = score
        if chinese or not word.isalpha():
            listed[word] = score
            characters.update(word)
    for c in characters:
        listed.setdefault(c, -2.0 if c == _START else -9.0)
        if c != _START:
            listed.setdefault(_START + c, -9.5)
    return sorted(listed.items(), key=lambda item: (-item[1], item[0]))


def build(folder):
    """Writes spiece.model, tokenizer.json and tokenizer_config.json into `folder`."""
    model = pb.ModelProto()
    for piece, kind in (("<pad>", 3), ("</s>", 3), ("<unk>", 2)):
        model.pieces.add(piece=piece, score=0.0, type=kind)
    folded = {}
    for piece, score in pieces():
        folded.setdefault(piece, score)
    for piece, score in folded.items():
        model.pieces.add(piece=piece, score=score, type=1)
    spec = model.trainer_spec
    spec.model_type = pb.TrainerSpec.UNIGRAM
    spec.vocab_size = len(model.pieces)
    spec.pad_id, spec.eos_id, spec.unk_id, spec.bos_id = 0, 1, 2, -1
    spec.pad_piece, spec.eos_piece, spec.unk_piece = "<pad>", "</s>", "<unk>"
    model.normalizer_spec.CopyFrom(_folding())
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "spiece.model").write_bytes(model.SerializeToString())
    tokenizer = T5Tokenizer.from_pretrained(str(folder), extra_ids=0, model_max_length=settings.MAX_TEXT)
    tokenizer.save_pretrained(str(folder))
    return tokenizer


def processor(folder):
    return sentencepiece.SentencePieceProcessor(model_file=str(folder / "spiece.model"))


def spans(sp, text):
    """Of each id of the text: the bytes [begin, end) of it that it stands for."""
    return [(piece.begin, piece.end) for piece in sp.encode(text, return_type="proto").pieces]


def ids(sp, texts, length=settings.MAX_TEXT):
    """Padded ids [N, length] and real lengths [N]; the end mark counts as real."""
    rows, lengths = [], []
    for text in texts:
        row = sp.encode(text)[: length - 1] + [1]
        lengths.append(len(row))
        rows.append(row + [0] * (length - len(row)))
    return rows, lengths


if __name__ == "__main__":
    print(len(build(settings.WORK / "tokenizer")), "pieces", file=sys.stderr)
