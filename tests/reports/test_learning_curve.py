import json

import pytest

from mmjax.cli.curve import curve
from mmjax.errors import UserError

pytestmark = pytest.mark.usefixtures("standard_promotion")

SCRIPT = """
import mmjax

experiment = mmjax.Experiment(
    model=mmjax.Multimodal(
        encoders={"image": mmjax.encoders.Cnn(features=(4,), dim=4)},
        fusion=mmjax.fusion.Concat(),
        heads={"digit": mmjax.heads.Classes(classes=10)},
    ),
    objectives={"digit": mmjax.objectives.SoftmaxCrossEntropy(output="digit", target="digit")},
    data=mmjax.data.DigitsClass(data_dir=DIR),
    optim=mmjax.optim.Adam(peak_lr=1e-2),
    steps=10,
)
"""


def test_a_curve_is_a_table_and_a_picture_over_the_examples(digits_dir, tmp_path, capsys):
    script = tmp_path / "own.py"
    script.write_text(SCRIPT.replace("DIR", repr(digits_dir)))
    home = tmp_path / "curve"
    curve(script, ("--steps", "4"), shares="1,0.05", seeds=1, out=home)
    assert "training examples" in capsys.readouterr().out
    assert (home / "curve.png").stat().st_size > 1000
    before = sorted(home.glob("share=*/checkpoints/*"))
    curve(script, ("--steps", "4"), shares="0.05,1", seeds=1, out=home, json=True)
    assert sorted(home.glob("share=*/checkpoints/*")) == before  # nothing was trained again
    found = json.loads(capsys.readouterr().out)
    assert found["metric"] == "digit/accuracy"
    shares = [(size["share"], size["examples"]) for size in found["sizes"]]
    assert shares[1] == (1.0, 1258) and shares[0][0] == 0.05 and 60 <= shares[0][1] <= 66
    with pytest.raises(UserError, match="--metric wrong: choose from"):
        curve(script, ("--steps", "4"), shares="0.05,1", seeds=1, out=home, metric="wrong")


@pytest.mark.parametrize("shares, message", [("a", "expected numbers"), ("0.5,0.5", "different")])
def test_wrong_shares_are_named(tmp_path, shares, message):
    script = tmp_path / "own.py"
    script.write_text(SCRIPT.replace("DIR", "None"))
    with pytest.raises(UserError, match=message):
        curve(script, shares=shares, out=tmp_path / "curve")
