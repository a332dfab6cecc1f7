"""PyTorch's ResNet-18 with BERT-mini and three fusions: concatenation, cross-attention, MBT."""

from typing import Any

import made_up
import torch  # pyright: ignore[reportMissingImports]
from torch import nn  # pyright: ignore[reportMissingImports]
from torch.nn import functional  # pyright: ignore[reportMissingImports]


def network(fusion: str) -> Any:
    """With PyTorch's own initial weights."""
    torch.manual_seed(0)
    return Pair(fusion, made_up.PAIR_WORDS)


class Residual(nn.Module):
    """Two 3x3 convolutions and a shortcut, He et al. 2016, arXiv:1512.03385."""

    def __init__(self, inner: int, outer: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inner, outer, 3, stride, 1, bias=False)
        self.conv2 = nn.Conv2d(outer, outer, 3, 1, 1, bias=False)
        self.norm1, self.norm2 = nn.BatchNorm2d(outer), nn.BatchNorm2d(outer)
        self.shortcut = None
        if inner != outer:
            self.shortcut = nn.Conv2d(inner, outer, 1, stride, bias=False)
            self.shortcut_norm = nn.BatchNorm2d(outer)

    def forward(self, x):
        """The same image, smaller where there is a stride."""
        y = self.norm2(self.conv2(torch.relu(self.norm1(self.conv1(x)))))
        return torch.relu(
            y + (x if self.shortcut is None else self.shortcut_norm(self.shortcut(x)))
        )


class ResNet18(nn.Module):
    """`[batch, 3, height, width]` -> tokens `[batch, height/32 * width/32, 512]`."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64)
        widths = [64, 64, 128, 256, 512]
        for stage in range(1, 5):
            first = Residual(widths[stage - 1], widths[stage], 1 if stage == 1 else 2)
            self.add_module(f"stage{stage}_0", first)
            self.add_module(f"stage{stage}_1", Residual(widths[stage], widths[stage], 1))

    def forward(self, x):
        """The last stage's positions as tokens."""
        x = functional.max_pool2d(torch.relu(self.norm1(self.conv1(x))), 3, 2, 1)
        for stage in range(1, 5):
            x = getattr(self, f"stage{stage}_1")(getattr(self, f"stage{stage}_0")(x))
        return torch.flatten(x, 2).transpose(1, 2)


class Block(nn.Module):
    """Attention to a context and one learned token, then a feed-forward layer; norms first."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads, self.nothing = heads, nn.Parameter(0.02 * torch.randn(dim))
        self.attend_norm, self.feed_norm = nn.LayerNorm(dim, 1e-6), nn.LayerNorm(dim, 1e-6)
        self.query, self.value = nn.Linear(dim, dim), nn.Linear(dim, dim)
        self.key, self.out = nn.Linear(dim, dim, bias=False), nn.Linear(dim, dim, bias=False)
        self.hidden, self.last = nn.Linear(dim, 2 * dim), nn.Linear(2 * dim, dim)

    def forward(self, x, look=None):
        """`look` `[query, key]`, the learned token among the keys; None: every key."""
        y = self.attend_norm(x)
        source = torch.cat([y, self.nothing.expand(len(x), 1, -1)], 1)
        parts = (self.query(y), self.key(source), self.value(source))
        q, k, v = (z.unflatten(2, (self.heads, -1)).transpose(1, 2) for z in parts)
        y = functional.scaled_dot_product_attention(q, k, v, attn_mask=look)
        x = x + self.out(y.transpose(1, 2).flatten(2))
        return x + self.last(torch.relu(self.hidden(self.feed_norm(x))))


class Pair(nn.Module):
    """Both encoders, a fusion and a head, as `Multimodal` has them."""

    def __init__(self, fusion: str, words: int, dim: int = 64, heads: int = 4) -> None:
        super().__init__()
        from transformers import BertConfig, BertModel  # pyright: ignore[reportMissingImports]

        config = BertConfig(
            hidden_size=256, intermediate_size=1024, num_hidden_layers=4, num_attention_heads=4,
            hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
            max_position_embeddings=words,
        )  # fmt: skip
        self.image, self.text = ResNet18(), BertModel(config, add_pooling_layer=False)
        segments = self.text.embeddings.token_type_embeddings.weight
        nn.init.zeros_(segments)
        segments.requires_grad_(False)  # part of ours' positions: Adam would move the sum twice
        self.fusion, width = fusion, 512 + 256
        if fusion != "concat":
            self.join_image, self.join_text = nn.Linear(512, dim), nn.Linear(256, dim)
            width = dim
        if fusion == "cross_attention":
            self.block = Block(dim, heads)
        if fusion == "bottleneck":
            self.bottleneck = nn.Parameter(0.02 * torch.randn(4, dim))
            for name in ("image_0", "text_0", "image_1", "text_1"):
                self.add_module(name, Block(dim, heads))
            self.out_norm = nn.LayerNorm(dim, 1e-6)
        self.hidden, self.logit = nn.Linear(width, 128), nn.Linear(128, 1)

    def forward(self, image, words):
        """Logits."""
        x, y = self.image(image), self.text(words).last_hidden_state
        z = self.fused(x, y)
        return self.logit(torch.relu(self.hidden(z)))[:, 0]

    def fused(self, x: Any, y: Any):
        """One vector."""
        if self.fusion == "concat":
            return torch.cat([x.mean(1), y.mean(1)], 1)
        x, y = self.join_image(x), self.join_text(y)
        if self.fusion == "cross_attention":
            owner = torch.arange(x.shape[1] + y.shape[1]) >= x.shape[1]
            look = functional.pad(owner[:, None] != owner[None], (0, 1), value=True)
            return self.block(torch.cat([x, y], 1), look).mean(1)
        shared = self.bottleneck.expand(len(x), -1, -1)
        for layer in (0, 1):
            x = getattr(self, f"image_{layer}")(torch.cat([x, shared], 1))
            y = getattr(self, f"text_{layer}")(torch.cat([y, shared], 1))
            (x, f), (y, g) = (z.split([z.shape[1] - 4, 4], 1) for z in (x, y))
            shared = (f + g) / 2
        return self.out_norm(torch.cat([x, y], 1)).mean(1)
