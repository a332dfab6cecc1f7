import dataclasses

import pytest

from mmjax.data.preprocessing import Preprocessing
from mmjax.data.targets import Binary, Category
from mmjax.data.transforms.audio import AudioTransform
from mmjax.data.transforms.table import Categorical, Numeric, TableTransform
from mmjax.data.transforms.text import TextTransform
from mmjax.encoders import AudioCnn, Bert, Features, FtTransformer, Lstm, TableMlp, WaveCnn
from mmjax.errors import UserError
from mmjax.heads import Classes
from mmjax.objectives import BinaryCrossEntropy, SoftmaxCrossEntropy
from mmjax.train.loop.preparation import require_agreement
from tests.config.experiments import small

TABLE = TableTransform((Numeric("age", 40.0, 9.0), Categorical("sex", ("f", "m"))))
NUMBERS = TableTransform((Numeric("age", 40.0, 9.0), Numeric("height", 1.7, 0.1)))
SOUND = AudioTransform(sample_rate=8000, max_samples=100)
TEXT = TextTransform.fit(["one two three"], vocabulary_size=9, max_words=4)  # 5 with the special


def agree(encoder, transform):
    model = dataclasses.replace(small().model, encoders={"x": encoder})
    require_agreement(small(model=model), Preprocessing({"x": transform}, {"match": Binary()}))


@pytest.mark.parametrize(
    "encoder, transform, message",
    [
        (Lstm(4), TEXT, r"--model\.encoders\.x\.vocabulary-size 4: .* has 5 words"),
        (Bert(vocabulary_size=4), TEXT, r"vocabulary-size 4: .* has 5 words"),
        (TableMlp(), TABLE, r"--model\.encoders\.x\.categories \(\): .* have \(0, 2\)"),
        (FtTransformer(categories=(0, 3)), TABLE, r"categories \(0, 3\): .* have \(0, 2\)"),
        (AudioCnn(), SOUND, r"--model\.encoders\.x\.sample-rate 16000: .* come at 8000 Hz"),
    ],
)
def test_an_encoder_that_expects_other_numbers_is_refused(encoder, transform, message):
    with pytest.raises(ValueError, match=message):
        agree(encoder, transform)


@pytest.mark.parametrize(
    "encoder, transform",
    [
        (Lstm(5), TEXT),
        (TableMlp(categories=(0, 2)), TABLE),
        (TableMlp(), NUMBERS),
        (AudioCnn(sample_rate=8000), SOUND),
        (WaveCnn(), SOUND),  # of any rate
        (Features(), TABLE),
    ],
)
def test_an_encoder_that_fits_is_taken(encoder, transform):
    agree(encoder, transform)


def test_an_objective_without_its_target_is_named_with_those_that_there_are():
    objectives = {"mood": BinaryCrossEntropy(output="match", target="mood")}
    message = r"objectives\.mood: the data has no target 'mood'; choose .*\.target from match"
    with pytest.raises(UserError, match=message):
        require_agreement(small(objectives=objectives), Preprocessing({}, {"match": Binary()}))


def test_a_head_with_other_classes_than_the_target_is_refused():
    model = dataclasses.replace(small().model, heads={"kind": Classes(3)})
    objectives = {"kind": SoftmaxCrossEntropy(output="kind", target="kind")}
    kinds = {"kind": Category(("cat", "dog"), (1, 1))}
    with pytest.raises(UserError, match=r"--model\.heads\.kind\.classes 3: .* has 2: cat, dog"):
        require_agreement(small(model=model, objectives=objectives), Preprocessing({}, kinds))
