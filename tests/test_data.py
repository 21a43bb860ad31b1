import jax
import numpy as np
import pytest
from sklearn.datasets import load_digits

from lazyrich import data


@pytest.fixture(scope="module")
def digits():
    images, labels = load_digits(return_X_y=True)
    return (images - images.mean()) / images.std(), labels


@pytest.fixture(scope="module")
def split():
    return data.digits_parity(jax.random.key(0), 500)


def test_each_image_has_the_parity_of_its_digit(digits, split):
    labels = {image.tobytes(): label for image, label in zip(*digits, strict=True)}
    for x, y in ((split.x, split.y), (split.x_test, split.y_test)):
        digit = np.array([labels[image.tobytes()] for image in np.asarray(x)])
        assert (y == np.where(digit % 2 == 0, 1, -1)).all()
        assert set(digit) == set(range(10))


def test_training_and_test_are_all_images_once(digits, split):
    assert split.x.shape == (500, 64) and split.y_test.shape == (1297,)
    both = np.concatenate([split.x, split.x_test])
    assert abs(both.mean()) < 1e-12 and abs(both.std() - 1) < 1e-12
    assert (np.sort(both.sum(1)) == np.sort(digits[0].sum(1))).all()


def test_the_key_chooses_the_images(split):
    again, other = (data.digits_parity(jax.random.key(seed), 500) for seed in (0, 1))
    assert (again.x == split.x).all() and (again.y_test == split.y_test).all()
    assert (other.x != split.x).any()


def test_a_smaller_set_takes_the_first_images_of_a_larger_one(split):
    small = data.digits_parity(jax.random.key(0), 20)
    assert (small.x == split.x[:20]).all() and (small.x_test[:480] == split.x[20:]).all()


@pytest.mark.parametrize(
    ("train", "message"),
    [
        (0, "train must be an integer of at least 1, got 0"),
        (1797, "train must be below 1797, the number of images, got 1797"),
    ],
)
def test_sizes_that_do_not_fit_are_named(train, message):
    with pytest.raises(ValueError, match=message):
        data.digits_parity(jax.random.key(0), train)
