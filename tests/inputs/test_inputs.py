"""Every public function on whatever a user may hold: the right answer, or one clear sentence.

Three things are asked of each argument that holds arrays: the same numbers in another container
give the same answer, or are refused by name; where a definition is free of scale, so is the answer,
at any scale at which it can be given; and nothing gives nan without saying in its docstring when.
"""

import functools
import importlib
import inspect
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inputs import (
    conditioning,
    foundation,
    heavy_tails,
    lenses,
    linearization,
    mechanisms,
    spectra,
)

PACKAGES = {
    "conditioning": conditioning,
    "heavy_tails": heavy_tails,
    "lenses": lenses,
    "linearization": linearization,
    "mechanisms": mechanisms,
    "spectra": spectra,
    "kernels": foundation,
    "curvature": foundation,
    "derivatives": foundation,
    "reports": foundation,
    "training": foundation,
    "networks": foundation,
    "data": foundation,
}


def public_functions(package):
    """The functions that a package shows, by name."""
    module = importlib.import_module(f"lazyrich.{package}")
    return {
        name: value
        for name, value in vars(module).items()
        if not name.startswith("_")
        and callable(value)
        and not inspect.isclass(value)
        and getattr(value, "__module__", "").startswith(f"lazyrich.{package}")
    }


FUNCTIONS = {
    f"{package}.{name}": function
    for package in PACKAGES
    for name, function in public_functions(package).items()
}
EXAMPLES = {name: e for one in dict.fromkeys(PACKAGES.values()) for name, e in one.EXAMPLES.items()}
NOT_TRIED = {
    name: why for one in dict.fromkeys(PACKAGES.values()) for name, why in one.NOT_TRIED.items()
}


def arrays(value):
    """The arrays of floats of an argument."""
    leaves = jax.tree.leaves(value)
    return [x for x in leaves if isinstance(x, np.ndarray) and x.dtype == float]


VARIED = [
    (name, argument)
    for name, example in EXAMPLES.items()
    for argument, value in example.arguments.items()
    if arrays(value) and argument not in example.left_alone
]


def changed(value, change):
    """An argument with each of its arrays of floats changed."""
    return jax.tree.map(lambda x: change(x) if arrays(x) else x, value)


def answer(name, **changes):
    """The arrays of what a function answers to its example, with some arguments changed."""
    example = EXAMPLES[name]
    result = example.of_result(FUNCTIONS[name](**{**example.arguments, **changes}))
    return [np.asarray(leaf) for leaf in jax.tree.leaves(result)]


def assert_same(found, expected, rtol=1e-9):
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert one.shape == other.shape
        size = np.abs(other[np.isfinite(other)]).max(initial=0.0) if other.size else 0.0
        np.testing.assert_allclose(one, other, rtol=rtol, atol=rtol * size)


@functools.cache
def expected(name):
    """The answer to an example as it is."""
    return answer(name)


class SubClass(np.ndarray):
    """As that of a package of units or of labels."""


def read_only(x):
    x = x.copy()
    x.flags.writeable = False
    return x


SAME = {
    "of JAX": jnp.asarray,
    "in the other byte order": lambda x: x.astype(x.dtype.newbyteorder()),
    "not contiguous": lambda x: np.repeat(x, 2, axis=-1)[..., ::2] if x.ndim else x,
    "read-only": read_only,
    "of a sub-class": lambda x: x.view(SubClass),
}


def test_every_public_function_has_an_example_or_a_reason():
    assert set(EXAMPLES) | set(NOT_TRIED) == set(FUNCTIONS)
    assert not set(EXAMPLES) & set(NOT_TRIED)


@pytest.mark.parametrize(("name", "argument"), VARIED)
def test_the_same_numbers_in_another_container(name, argument):
    value = EXAMPLES[name].arguments[argument]
    for container, change in SAME.items():
        try:
            assert_same(answer(name, **{argument: changed(value, change)}), expected(name))
        except Exception as error:
            error.add_note(f"an array {container}")
            raise
    if isinstance(value, np.ndarray):
        assert_same(answer(name, **{argument: value.tolist()}), expected(name))


@pytest.mark.parametrize(("name", "argument"), VARIED)
def test_masks_and_long_doubles_are_refused_by_name(name, argument):
    value = EXAMPLES[name].arguments[argument]
    masked = changed(value, lambda x: np.ma.array(x, mask=np.zeros(x.shape, bool)))
    with pytest.raises(ValueError, match=f"{argument}.* must be an array without a mask"):
        answer(name, **{argument: masked})
    if np.dtype(np.longdouble) != float:
        with pytest.raises(ValueError, match=f"{argument}.* must be float32 or float64"):
            answer(name, **{argument: changed(value, lambda x: x.astype(np.longdouble))})


FREE = [name for name, example in EXAMPLES.items() if example.free_of_scale]


@pytest.mark.parametrize("name", FREE)
@pytest.mark.parametrize("scale", [1e-290, 1e-160, 1e-20, 1e20, 1e160, 1e290])
def test_what_is_free_of_scale_is_so_at_all_scales(name, scale):
    example = EXAMPLES[name]
    scaled = {
        argument: changed(example.arguments[argument], lambda x: x * scale)
        for argument in example.free_of_scale
    }
    assert_same(answer(name, **scaled), expected(name), rtol=1e-7)


def assert_sound(name, found):
    """No nan, and no inf, of which the docstring does not speak."""
    text = FUNCTIONS[name].__doc__
    for what, there in (("nan", np.isnan), ("inf", np.isinf)):
        if not re.search(rf"\b{what}\b", text):
            assert not any(there(x).any() for x in found if x.dtype.kind in "fc"), what


SIZES = st.sampled_from([0.0, 1.0, -1.0, *(10.0**k for k in (-300, -200, -40, 40, 200, 300))])
DTYPES = st.sampled_from(["f8", ">f8", "f4", "f2"])
CHANGES = st.sampled_from(
    [
        lambda x: x,
        np.ones_like,
        lambda x: x[:1] if x.ndim else x,
        lambda x: x[:0] if x.ndim else x,
    ]
)


def from_disk(value, change, size, dtype):
    """An argument with arrays changed, of a size and a dtype."""
    with np.errstate(all="ignore"):
        return changed(value, lambda x: (change(x) * size).astype(dtype))


@st.composite
def inputs_of(draw, name):
    """The arguments of an example as they come from a disk."""
    return {
        argument: from_disk(
            EXAMPLES[name].arguments[argument], draw(CHANGES), draw(SIZES), draw(DTYPES)
        )
        for one, argument in VARIED
        if one == name
    }


@pytest.mark.parametrize("name", list(dict.fromkeys(name for name, _ in VARIED)))
@given(data=st.data())
def test_any_numbers_have_an_answer_or_one_sentence(name, data):
    arguments = data.draw(inputs_of(name))
    try:
        found = answer(name, **arguments)
    except ValueError as error:
        assert len(str(error).splitlines()) == 1
    else:
        assert_sound(name, found)


@pytest.mark.parametrize("name", list(EXAMPLES))
def test_without_float64_the_answer_is_in_float32_or_there_is_a_sentence(name):
    with jax.enable_x64(False):
        try:
            found = answer(name)
        except ValueError as error:
            assert len(str(error).splitlines()) == 1
            return
    assert EXAMPLES[name].of_numpy or not any(x.dtype == np.float64 for x in found)
    assert_sound(name, found)
