"""Layers chosen by text."""

import pytest
from refusals import refuses

from nstyle.errors import Kind, OptionError
from nstyle.networks.layers import VGG19_LAYERS, check_layers, parse_layers


def test_names_with_and_without_weights() -> None:
    assert parse_layers("--style-layers", "relu1_1, relu2_1:0.5,relu5_4 : 0") == {
        "relu1_1": 1.0,
        "relu2_1": 0.5,
        "relu5_4": 0.0,
    }
    assert list(parse_layers("--style-layers", "relu5_1,relu1_1")) == ["relu5_1", "relu1_1"]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("", Kind.MISSING),
        ("relu1_1,", Kind.MISSING),
        (":2", Kind.MISSING),
        ("relu1_1:", Kind.OUT_OF_RANGE),
        ("relu1_1:x", Kind.OUT_OF_RANGE),
        ("relu1_1:-1", Kind.OUT_OF_RANGE),
        ("relu1_1:nan", Kind.OUT_OF_RANGE),
        ("relu1_1:inf", Kind.OUT_OF_RANGE),
        ("relu1_1:1:2", Kind.OUT_OF_RANGE),
        ("relu1_1,relu1_1:2", Kind.CONFLICT),
        ("relu1_1:0,relu2_1:0", Kind.OUT_OF_RANGE),
    ],
)
def test_what_is_wrong_with_a_choice(text: str, kind: Kind) -> None:
    with refuses(OptionError, kind=kind, flag="--style-layers"):
        parse_layers("--style-layers", text)


def test_a_wrong_name_gets_the_list_of_right_ones() -> None:
    check_layers("--content-layers", {"relu5_4": 1.0}, VGG19_LAYERS)
    with refuses(OptionError, kind=Kind.UNKNOWN, flag="--content-layers") as refused:
        check_layers("--content-layers", {"relu4_2": 1.0, "relu6_1": 1.0}, VGG19_LAYERS)
    assert "'relu6_1'; choose from relu1_1, relu1_2" in str(refused.value)
