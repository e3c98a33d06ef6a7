"""Values in files: what is packed is unpacked, and what was not packed is told in one sentence."""

import math

import numpy as np
import pytest
import torch

from skae.engine.packing import pack, save
from skae.engine.unpacking import DamagedError, load, unpack
from skae.exceptions import FileError

VALUES = [
    *(None, True, False, 0, -(2**63), 2**100, 1.5, -0.0, 1e-310, math.inf, -math.inf, "", "\u00e9\ud800\n"),
    *(
        [],
        (),
        {},
        [1, (2, [3.0, "a"])],
        {"a": {"b": (None,)}},
        {1: "a", (1, 2): "b", None: 3},
        {"dict": 1, "tuple": []},
    ),
    *([0.1] * 9, [math.nan, math.inf, *map(float, range(9))], list(range(-5, 9)), [2**63] * 9, [1, 2.0] * 9),
    *([True] * 9, ["a", "", "\u00e9\ud800"] * 5, tuple([1.5] * 9), [""] * 9, b"", b"\x00\xff", slice(0, None, 2)),
    *(np.float32(0.1), np.float64("nan"), np.int64(-3), np.bool_(True), np.str_("ab"), np.uint8(255)),
    *(np.array([True, False]), np.zeros((0, 3)), np.array(2.5), np.arange(6, dtype=np.int8).reshape(2, 3)),
    *(np.array(["a", "bcd"]), np.array([["a"], [""]]), np.array([b"a", b"bc"]), np.array([], "U3"), np.array("abc")),
    *(np.array(["a", None, 1.5, [1]], dtype=object), np.zeros((2, 0), object), np.arange(3.0, dtype=">f8")),
    *(torch.arange(5), torch.zeros(2, 3, dtype=torch.float64), torch.tensor([True]), torch.tensor(3.0), torch.zeros(0)),
    {"a": [torch.ones(2), {"b": np.ones(2)}], "a/0": np.zeros(1), "__metadata__": np.zeros(2), "": np.zeros(3)},
]


def require_equal(one, two):
    """Equal to the last bit, and of the same types."""
    assert type(one) is type(two)
    if isinstance(one, dict):
        assert list(one) == list(two)
        one, two = list(one.values()), list(two.values())
    if isinstance(one, (list, tuple)):
        assert len(one) == len(two)
        for a, b in zip(one, two, strict=True):
            require_equal(a, b)
    elif isinstance(one, torch.Tensor):
        assert one.dtype == two.dtype
        assert torch.equal(one, two)
    elif isinstance(one, (np.ndarray, np.generic)):
        assert one.dtype.newbyteorder("=") == two.dtype
        np.testing.assert_array_equal(one, two)
    elif isinstance(one, float):
        assert repr(one) == repr(two)
    else:
        assert one == two


def test_values_come_back(tmp_path):
    save(tmp_path / "m", "model", VALUES)
    _, found = load(tmp_path / "m", "model")
    require_equal(VALUES, found)


def test_what_is_unpacked_can_be_changed():
    told, arrays = pack([np.zeros(3), torch.zeros(3), [1.5] * 9])
    array, tensor, floats = unpack(told, arrays)
    array[0], tensor[0], floats[0] = 1.0, 1.0, 1.0


@pytest.mark.parametrize("n_draws", [0, 1, 5, 1000])
def test_a_random_state_goes_on(n_draws):
    rng = np.random.RandomState(3)
    rng.standard_normal(n_draws)
    again = unpack(*pack(rng))
    assert rng.standard_normal(7).tolist() == again.standard_normal(7).tolist()


def test_arrays_have_the_names_of_their_places():
    _, arrays = pack({"module_": {"weight": np.zeros(2)}, "layers": [torch.zeros(1)], "n": np.int64(3)})
    assert arrays.keys() == {"module_/weight", "layers/0", "n"}


def test_kinds_of_ones_own():
    class Point:
        def __init__(self, parts):
            self.parts = parts

    def tell(value):
        return ("Point", value.parts) if isinstance(value, Point) else None

    told, arrays = pack({"p": [Point((1, np.zeros(2)))]}, tell)
    found = unpack(told, arrays, {"Point": Point})["p"][0]
    assert type(found) is Point
    assert found.parts[0] == 1
    with pytest.raises(DamagedError, match="'Point'"):
        unpack(told, arrays)


ENDLESS = []
ENDLESS.append(ENDLESS)


@pytest.mark.parametrize(
    "value",
    [
        *(len, object(), ENDLESS, 10**50, 2j, {1, 2}, np.zeros(2, complex), np.zeros(2, "M8[s]"), np.ma.zeros(2)),
        *(torch.zeros(2, dtype=torch.bfloat16), torch.zeros(2).to_sparse(), np.datetime64("2020"), range(3)),
    ],
)
def test_what_cannot_be_told_is_refused(value):
    with pytest.raises(FileError, match=r"^parts\.0\S* .*, which a file of skae cannot hold\.$"):
        pack({"parts": [value]})


@pytest.mark.parametrize(
    "told",
    [
        *(
            {},
            {"a": 1, "b": 2},
            {"other": 1},
            {"float": 1.5},
            {"float": "1"},
            {"float": []},
            {"tuple": 1},
            {"dict": []},
        ),
        *({"pairs": [1]}, {"pairs": [[[], 1]]}, {"pairs": [[1, 2], [1, 3]]}, {"slice": [1, 2]}, {"slice": [1, 2, 1.5]}),
        *({"array": "none"}, {"array": 3}, {"array": []}, {"floats": "whole"}, {"ints": "real"}, {"bytes": "real"}),
        *(
            {"texts": "real"},
            {"texts": ["bytes", "real"]},
            {"texts": ["bytes", "lengths"]},
            {"texts": ["bytes", "less"]},
        ),
        *({"letters": ["U", "real"]}, {"letters": ["O", "real"]}, {"letters": ["U", "letters"]}, {"letters": []}),
        *({"objects": [[3], []]}, {"objects": [[-1], [1]]}, {"objects": [[0, 2**60], []]}, {"objects": 3}),
        *({"objects": [[0] * 40, []]}, {"scalar": 3}, {"scalar": {"array": "real"}}, {"tensor": "none"}),
        *({"scalar": {"objects": [[], [1]]}}, {"RandomState": []}, {"RandomState": [{"array": "real"}, 0, 0, 0.0]}),
        *({"RandomState": [{"array": "words"}, 0, 0, 0.0]}, [{"array": "real"}, {"array": "real"}]),
    ],
)
def test_what_was_not_packed_is_refused(told):
    arrays = {
        "real": np.zeros(3),
        "whole": np.zeros(3, np.int64),
        "bytes": np.array([0xC3], np.uint8),
        "lengths": np.array([1]),
        "less": np.array([2, -1]),
        "letters": np.array([[0x110000]], np.uint32),
        "words": np.zeros(624, np.uint32),
    }
    with pytest.raises(DamagedError, match=r"^\w.*[^.]$"):
        unpack(told, arrays)


def test_an_array_that_nothing_asks_for_is_refused():
    with pytest.raises(DamagedError, match="nothing tells what the array 'more' is"):
        unpack([1], {"more": np.zeros(3)})


def test_deep_values_are_refused():
    told = 1
    for _ in range(500):
        told = {"tuple": [told]}
    with pytest.raises(DamagedError, match="too many others"):
        unpack(told, {})
