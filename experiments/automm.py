"""AutoGluon's MultiModalPredictor, as a peer of `mmjax fit` in fit_compare.py.

Its published weights are downloaded when it is used, so here it begins without any, as mmjax does:
a ResNet-18 of 64 x 64 pixels, a BERT of two layers over the words of the training rows, its own
multilayer perceptrons for numbers and for fusion, and rates for training from scratch.
"""

import csv
import json
import re
import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fit_compare import Task

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def fitted(task: "Task", out: Path, minutes: float, seed: int) -> tuple[float, str]:
    """Test accuracy after `minutes` of training, and the names of its parts."""
    import pandas as pd
    from autogluon.multimodal import MultiModalPredictor  # type: ignore[reportMissingImports]

    used = [*task.numbers, *task.texts, *task.pictures]
    with task.path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    tables: dict[str, Any] = {}
    for split in ("train", "validation", "test"):
        own = pd.DataFrame([row for row in rows if row["split"] == split])[[*used, task.target]]
        for name in task.numbers:
            own[name] = pd.to_numeric(own[name])
        for name in task.pictures:
            own[name] = [str((task.path.parent / cell).resolve()) for cell in own[name]]
        tables[split] = own
    shutil.rmtree(out, ignore_errors=True)
    parts, options = ["fusion_mlp"], {}
    if task.numbers:
        parts.append("numerical_mlp")
    if task.pictures:
        parts.append("timm_image")
        options["model.timm_image.checkpoint_name"] = str(resnet(out.with_name("resnet")))
        options["model.timm_image.image_size"] = 64
    if task.texts:
        parts.append("hf_text")
        texts = [text for name in task.texts for text in tables["train"][name]]
        options["model.hf_text.checkpoint_name"] = str(bert(texts, out.with_name("bert")))
        options["model.hf_text.max_text_len"] = 32
    kinds = dict.fromkeys(task.numbers, "numerical") | dict.fromkeys(task.texts, "text")
    kinds |= dict.fromkeys(task.pictures, "image_path")
    predictor = MultiModalPredictor(
        label=task.target, path=str(out), eval_metric="accuracy", verbosity=1
    )
    options |= {
        "model.names": parts,
        "optim.lr": 1e-3,
        "optim.lr_decay": 1.0,  # the rates of layers differ for pretrained weights
        # 20 epochs as by default, more of few rows; all of them, if there is time.
        "optim.max_epochs": min(50, max(20, 60_000 // len(tables["train"]))),
        "optim.patience": 100,
        "env.per_gpu_batch_size": 64,
        "env.batch_size": 64,
        "env.num_workers": 0,
        "env.accelerator": "cpu",
    }
    predictor.fit(
        tables["train"],
        tuning_data=tables["validation"],
        time_limit=60 * minutes,
        seed=seed,
        column_types=kinds,
        hyperparameters=options,
    )
    found = predictor.evaluate(tables["test"], metrics=["accuracy"])
    return float(found["accuracy"]), " + ".join(sorted(parts))


def resnet(folder: Path) -> Path:
    """A folder with a ResNet-18 of timm and its weights as they are drawn."""
    import timm  # type: ignore[reportMissingImports]
    import torch  # type: ignore[reportMissingImports]

    folder.mkdir(parents=True, exist_ok=True)
    model = timm.create_model("resnet18", num_classes=0)
    config = {"architecture": "resnet18", "num_features": model.num_features}
    config["pretrained_cfg"] = model.default_cfg
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    torch.save(model.state_dict(), folder / "pytorch_model.bin")
    return folder


def bert(texts: Sequence[str], folder: Path) -> Path:
    """A folder with a small BERT, its weights as they are drawn, and a tokeniser of whole words."""
    from transformers import (  # type: ignore[reportMissingImports]
        BertConfig,
        BertModel,
        BertTokenizerFast,
    )

    folder.mkdir(parents=True, exist_ok=True)
    counts = Counter(word for text in texts for word in re.findall(r"\w+", text.lower()))
    words = [*SPECIAL, *(word for word, _ in counts.most_common(20_000))]
    (folder / "vocab.txt").write_text("\n".join(words), encoding="utf-8")
    BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)
    size: dict[str, int] = {"hidden_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2}
    size |= {"vocab_size": len(words), "intermediate_size": 512}
    BertModel(BertConfig(**size)).save_pretrained(folder)
    return folder
