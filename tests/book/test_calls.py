from lazyrich.book import calls


def test_what_code_reaches_is_followed_through_packages_and_modules():
    used, known = calls.used_by("from lazyrich import mechanisms as m\nm.solve(s, u, v, t)")
    assert "lazyrich.mechanisms.solution.solve" in used
    reached = calls.reached(used)
    assert "lazyrich.mechanisms.solution._solve" in reached
    assert not any(name.startswith("lazyrich.spectra") for name in reached)
    again, _ = calls.used_by("m.evolve", known)
    assert "lazyrich.mechanisms.solution.evolve" in again


def test_points_of_sweeps_reach_formulas():
    reached = calls.reached(["lazyrich.experiments.mechanisms.widths.run_at_width"])
    assert "lazyrich.mechanisms.phases.at_width" in reached
    assert "lazyrich.mechanisms.monomial.internal_time" not in reached


def test_names_of_others_are_none_of_the_library():
    used, _ = calls.used_by("import numpy as np\nx = np.linalg.norm(y)")
    assert calls.reached(used) == set()
