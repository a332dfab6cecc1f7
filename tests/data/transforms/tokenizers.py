"""Small tokenizers of the kinds that are published: BERT's WordPiece and GPT-2's BPE of bytes."""

import json

from tokenizers.implementations.bert_wordpiece import BertWordPieceTokenizer
from tokenizers.implementations.byte_level_bpe import ByteLevelBPETokenizer

# Padding is no 0, to show that nobody relies on it.
BERT_WORDS = ("world", "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "hello", "##s")


def bert_json(**changes) -> str:
    """With cuts and padding of its own, as BERT's tokenizer.json on the hub has them."""
    tokenizer = BertWordPieceTokenizer({word: i for i, word in enumerate(BERT_WORDS)})
    tokenizer.enable_truncation(3)
    tokenizer.enable_padding(length=20, pad_id=1)
    return json.dumps(json.loads(tokenizer.to_str()) | changes)


def gpt2_json() -> str:
    """Without an unknown word; number 0 is a word."""
    tokenizer = ByteLevelBPETokenizer()
    tokenizer.train_from_iterator(["hello hello worlds"], vocab_size=270, show_progress=False)
    return tokenizer.to_str()
