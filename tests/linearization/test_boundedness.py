import jax
import numpy as np
import pytest
import scipy.stats

from lazyrich.linearization import random_powers, student_norms
from linearization.small import close

KEY = jax.random.key(0)


@pytest.mark.parametrize("nu", [1.0, 3.0])
def test_norms_are_of_student_numbers(nu):
    one = student_norms(KEY, 1, nu, 2000)
    assert scipy.stats.kstest(one, lambda x: 2 * scipy.stats.t(nu).cdf(x) - 1).pvalue > 0.01
    many = student_norms(KEY, 50, nu, 20)
    assert many.shape == (20,) and (many == student_norms(KEY, 50, nu, 20)).all()
    assert (many > 0).all() and len(np.unique(many)) == 20


def test_powers_are_of_one_exponential_number_at_every_size():
    few, many = random_powers(KEY, 10, 3000), random_powers(KEY, 1000, 3000)
    close(np.log(many), 3 * np.log(few), rtol=1e-12)
    assert scipy.stats.kstest(np.log(few) / np.log(10), scipy.stats.expon.cdf).pvalue > 0.01


def test_what_is_out_of_range_is_refused():
    with pytest.raises(ValueError, match="nu must be positive"):
        student_norms(KEY, 4, 0.0, 1)
    with pytest.raises(ValueError, match="n must be an integer of at least 1, got 0"):
        random_powers(KEY, 0, 1)
    with pytest.raises(ValueError, match="key must be one jax.random.key"):
        student_norms(jax.random.split(KEY), 4, 1.0, 1)
