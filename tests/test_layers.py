"""Layers chosen by text."""

import pytest

from nstyle.errors import OptionError
from nstyle.networks.layers import VGG19_LAYERS, check_layers, parse_layers


def test_names_with_and_without_weights() -> None:
    assert parse_layers("--style-layers", "relu1_1, relu2_1:0.5,relu5_4 : 0") == {
        "relu1_1": 1.0,
        "relu2_1": 0.5,
        "relu5_4": 0.0,
    }
    assert list(parse_layers("--style-layers", "relu5_1,relu1_1")) == ["relu5_1", "relu1_1"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "must be layers"),
        ("relu1_1,", "must be layers"),
        (":2", "must be layers"),
        ("relu1_1:", "weight of relu1_1"),
        ("relu1_1:x", "'x'"),
        ("relu1_1:-1", "at least 0"),
        ("relu1_1:nan", "finite"),
        ("relu1_1:inf", "finite"),
        ("relu1_1:1:2", "'1:2'"),
        ("relu1_1,relu1_1:2", "relu1_1 twice"),
        ("relu1_1:0,relu2_1:0", "every layer 0"),
    ],
)
def test_what_is_wrong_with_a_choice(text: str, words: str) -> None:
    with pytest.raises(OptionError, match="--style-layers") as caught:
        parse_layers("--style-layers", text)
    assert words in str(caught.value)


def test_a_wrong_name_gets_the_list_of_right_ones() -> None:
    check_layers("--content-layers", {"relu5_4": 1.0}, VGG19_LAYERS)
    with pytest.raises(OptionError, match=r"--content-layers: no layer 'relu6_1'; there are relu1_1, .*relu5_4"):
        check_layers("--content-layers", {"relu4_2": 1.0, "relu6_1": 1.0}, VGG19_LAYERS)
