import pytest

from lazyrich.linearization import (
    correlation_exponent,
    deviation_exponents,
    linearity_exponent,
    rate_exponent,
)

TABLE = {(0, 1): 0, (0, 2): -1, (0, 3): -1, (0, 4): -2, (0, 5): -2, (1, 1): -0.5, (1, 2): -1}


@pytest.mark.parametrize(("orders", "exponent"), [*TABLE.items(), ((2, 1), -1), ((2, 0), -0.5)])
def test_exponents_in_ntk_scaling_are_those_of_the_table(orders, exponent):
    assert correlation_exponent(*orders) == exponent


@pytest.mark.parametrize("a", [0.25, 0.5, 0.75, 1.0])
def test_the_family_adds_a_scale(a):
    assert correlation_exponent(1, 1, a) == a - 1
    assert correlation_exponent(0, 2, a) == a - 1.5
    assert correlation_exponent(0, 3, a) == 2 * a - 2
    assert correlation_exponent(0, 1, a) == 0
    assert linearity_exponent(a) == min(1.5 - a, 2 - 2 * a)


def test_deviations_fall_with_the_smallest_of_the_rates():
    slopes = [deviation_exponents(a).output for a in (0.25, 0.5, 0.75, 1.0)]
    assert slopes == [-1.25, -1, -0.5, 0]
    assert deviation_exponents() == (-1, -1, -0.5)
    assert deviation_exponents(kinks=True) == (-0.75, -0.75, -0.25)
    assert rate_exponent() == 2 and rate_exponent(3) == 3 and rate_exponent(kinks=True) == 1.5


@pytest.mark.parametrize("orders", [(0, 0), (1, 0), (2, 2), (3, 1)])
def test_what_was_not_derived_is_refused(orders):
    with pytest.raises(ValueError, match="D and d must be"):
        correlation_exponent(*orders)
    with pytest.raises(ValueError, match="a must be 0.5 for an activation with kinks, got 0.75"):
        deviation_exponents(0.75, kinks=True)
    with pytest.raises(ValueError, match="a must be at most 1, .*, got 1.5"):
        deviation_exponents(1.5)
    with pytest.raises(ValueError, match="order must be 2 for an activation with kinks, got 3"):
        rate_exponent(3, kinks=True)
