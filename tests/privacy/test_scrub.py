import pytest

from mmjax.errors import UserError
from mmjax.privacy import measure
from mmjax.privacy.names import Names, names
from mmjax.privacy.scrub import Scrubber


@pytest.fixture(scope="module")
def scrubber():
    return Scrubber(names(), ("US", "GB", "DE"))


@pytest.mark.parametrize(
    "text, expected",
    [
        ("write to a.b+c@sub.example.org now", "write to [EMAIL] now"),
        ("DE89 3704 0044 0532 0130 00 is closed", "[IBAN] is closed"),
        ("DE12 ABCD EFGH 3456 XYZW is no IBAN", None),
        ("call (212) 736-5000, or +48 22 694 55 55.", "call [PHONE], or [PHONE]."),
        ("on 2020-11-30 and 3. Mai 2019", "on [DATE] and [DATE]"),
        ("blood pressure 120/80, version 3.11, 1,200 euros, in 2015", None),
        ("Mr. van der Berg and Dr Okonkwo agreed", "Mr. [NAME] and Dr [NAME] agreed"),
        ("He told Maria Xyzzy that MARIA left", "He told [NAME] that [NAME] left"),
        ("my name is maria, he will come in May", "my name is [NAME], he will come in May"),
        ("", None),
    ],
)
def test_each_kind_is_replaced_and_other_things_stay(scrubber, text, expected):
    replaced, kinds = scrubber.unread().scrubbed(text)
    assert replaced == (text if expected is None else expected)
    assert len(kinds) == (expected or "").count("[")


def test_identifiers_of_the_row_are_replaced_as_whole_words(scrubber):
    text, kinds = scrubber.scrubbed("P0042 (qzxcv) saw P00421", ["P0042", "Ann Qzxcv"])
    assert (text, kinds) == ("[ID] ([ID]) saw P00421", ["ID", "ID"])


def test_words_that_the_texts_write_small_are_no_names_at_the_start_of_a_sentence():
    own = Scrubber(Names({"will"}, {"white"}), ())
    own.read("he will bring a white coat and will go")
    assert own.scrubbed("Will it rain? White coats. We saw Will White.")[0] == (
        "Will it rain? White coats. We saw [NAME]."
    )


def test_recall_and_precision_on_the_labelled_texts_do_not_fall(scrubber):
    found = measure.measure(scrubber)
    for kind in ("EMAIL", "IBAN", "PHONE", "DATE"):
        assert found[kind].hidden == found[kind].labelled
        assert found[kind].right >= 0.8 * found[kind].replaced, kind
    assert found["NAME"].hidden >= 0.9 * found["NAME"].labelled
    assert found["NAME"].right >= 0.75 * found["NAME"].replaced


def test_a_file_of_names_is_added_and_wrong_choices_are_named(tmp_path):
    file = tmp_path / "names.txt"
    file.write_text("Zzyqx\n")
    assert Scrubber(names(("de_DE",), file), ()).scrubbed("we met Zzyqx")[0] == "we met [NAME]"
    with pytest.raises(UserError, match="--locales xx_XX"):
        names(("xx_XX",))
    with pytest.raises(UserError, match="--regions Germany"):
        Scrubber(names(("de_DE",)), ("Germany",))
