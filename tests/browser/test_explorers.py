"""The explorers: their formulas are those of the library, and their pages do as they say."""

import json
import re
from pathlib import Path

import jax
import numpy as np
import pytest

from lazyrich import conditioning, heavy_tails, lenses, mechanisms, spectra

FORMULAS = Path(__file__).parents[2] / "book" / "_static" / "explorers" / "formulas.js"
DRAWS = 100
ERF = lenses.gaussian_moments(jax.scipy.special.erf)
PAGES = ("training", "spike", "conditioning", "knob")


@pytest.fixture(scope="module")
def in_browser(browser):
    """A function that computes an expression of `x` in the browser, for each x of a list."""
    page = browser.new_page()
    page.add_script_tag(path=FORMULAS)

    def compute(expression, inputs):
        head = "const { mechanisms: m, heavy_tails: h, conditioning: c, lenses: l, spectra: s } = "
        program = f"(inputs) => {{ {head} lazyrich; return inputs.map((x) => {expression}); }}"
        return page.evaluate(program, json.loads(json.dumps(inputs, default=float)))

    yield compute
    page.close()


def agree(ours, theirs, rtol=1e-9, atol=0.0):
    ours, theirs = (np.array(leaves(tree), float) for tree in (ours, theirs))
    np.testing.assert_allclose(ours, theirs, rtol, atol)


def leaves(tree):
    if isinstance(tree, dict):
        tree = tree.values()
    if isinstance(tree, np.ndarray | jax.Array):
        return np.asarray(tree).ravel().tolist()
    if isinstance(tree, dict | list | tuple) or hasattr(tree, "__iter__"):
        return [leaf for one in tree for leaf in leaves(one)]
    return [np.nan if tree is None else tree]


def random():
    return np.random.default_rng(20)


def between(low, high, log=True, whole=False, count=DRAWS):
    """Random numbers, of which the first two are the ends."""
    draw = random()
    ends = np.log([low, high]) if log else np.array([low, high])
    values = np.concatenate([ends, draw.permutation(draw.uniform(*ends, count - 2))])
    values = np.exp(values) if log else values
    values = np.clip(values, low, high)
    return np.round(values).astype(int) if whole else values


def shuffled(values, seed):
    return np.random.default_rng(seed).permutation(values)


# Mechanisms


def networks():
    """Settings and weights of one to a thousand neurons, small and large, and some edges."""
    draw, cases = random(), []
    for i in range(DRAWS):
        n = int([1, 2, 3, 10, 1000][i % 5])
        u, v = draw.normal(size=(2, n)) * 10 ** draw.uniform(-4, 2, (2, 1))
        rates = 10 ** draw.uniform(-2, 2, 5)
        y_star = draw.normal() * 10 ** draw.uniform(-3, 2) * (i % 9 > 0)
        if n == 1:  # which learns no target of the other sign: it ends at zero
            y_star = (abs(y_star) + 1e-3) * float(np.sign(u * v)[0])
        if i % 11 == 1:
            v = u + 1e-3 * v  # the layers all but parallel
        fields = dict(zip(("gamma", "eta_u", "eta_w", "A", "c"), rates.tolist(), strict=True))
        cases.append((mechanisms.Setting(y_star=y_star, **fields), u, v))
    return cases


@pytest.fixture(scope="module")
def cases():
    return networks()


def given(cases, **more):
    rows = [{"s": s._asdict(), "u": u.tolist(), "v": v.tolist()} for s, u, v in cases]
    for name, values in more.items():
        rows = [row | {name: value} for row, value in zip(rows, values, strict=True)]
    return rows


def test_the_solution_is_that_of_the_library(in_browser, cases):
    times = [
        [0.0, *(np.array([1e-3, 0.3, 1, 3, 30]) / mechanisms.learning_speed(*one)).tolist()]
        for one in cases
    ]
    found = in_browser("m.evolve(x.s, m.layers(x.u, x.v), x.t)", given(cases, t=times))
    for (setting, u, v), t, ours in zip(cases, times, found, strict=True):
        state = mechanisms.evolve(setting, u, v, np.array(t))
        # An output that passes zero is known to rounding of its parts, M and the target.
        size = 1e-13 * float(np.max(state.kernel) / setting.gamma + abs(setting.y_star))
        size *= 1 + 1 / float(np.sqrt(setting.eta_u * setting.eta_w))
        for name in state._fields:
            exact = name in ("kernel", "scale")
            atol = 0.0 if exact else 1e-12 if name == "cosine" else size
            agree([one[name] for one in ours], getattr(state, name), atol=atol)


def test_what_the_solution_conserves_and_how_fast_it_is(in_browser, cases):
    ours = in_browser(
        "(() => { const a = m.layers(x.u, x.v), n = m.invariants(x.s, a);"
        " return [n.N, m.learning_speed(x.s, a)]; })()",
        given(cases),
    )
    theirs = [(mechanisms.invariants(*one).N, mechanisms.learning_speed(*one)) for one in cases]
    agree(ours, theirs)
    wide = [one for one in cases if one[1].size > 1]
    ours = in_browser("m.invariants(x.s, m.layers(x.u, x.v)).N_perp", given(wide))
    agree(ours, [mechanisms.invariants(*one).N_perp for one in wide])


def test_the_change_of_the_kernel(in_browser, cases):
    ours = in_browser("m.kernel_change(x.s, m.layers(x.u, x.v))", given(cases))
    agree(ours, [mechanisms.kernel_change(*one) for one in cases])


def test_the_time_to_reach_an_output(in_browser, cases):
    shares, outputs = between(1e-6, 1 - 1e-6, log=False), []
    for (setting, u, v), share in zip(cases, shares, strict=True):
        first = float(mechanisms.state(setting, u, v).output)
        outputs.append(first + share * (float(setting.y_star) - first))
    ours = in_browser("m.time_to_reach(x.s, m.layers(x.u, x.v), x.F)", given(cases, F=outputs))
    theirs = [mechanisms.time_to_reach(*one, F) for one, F in zip(cases, outputs, strict=True)]
    agree(ours, theirs)


def test_laws_of_the_output(in_browser):
    rows = [
        {"s": mechanisms.Setting(gamma=g)._asdict(), "F": F, "N": N}
        for g, F, N in zip(between(1e-3, 1e3), shuffled(between(-9, 9, False), 1),
                           shuffled(between(1e-6, 1e3), 2), strict=True)
    ]  # fmt: skip
    ours = in_browser("[m.kernel_law(x.s, x.F, x.N), m.cosine_law(x.F, x.N)]", rows)
    theirs = [
        (mechanisms.kernel_law(mechanisms.Setting(**row["s"]), row["F"], row["N"]),
         mechanisms.cosine_law(row["F"], row["N"]))
        for row in rows
    ]  # fmt: skip
    agree(ours, theirs)


def test_the_share_of_turning(in_browser):
    draw = random()
    rows = [{"c": draw.uniform(0.05, 1, 2), "r": draw.uniform(0.1, 9, 2)} for _ in range(DRAWS)]
    rows = [{name: value.tolist() for name, value in row.items()} for row in rows]
    ours = in_browser("m.turning_share(x.c, x.r)", rows)
    agree(ours, [mechanisms.turning_share(row["c"], row["r"])[0][0] for row in rows])
    assert np.isnan(in_browser("m.turning_share(x, [1, 1])", [[0.5, -0.5], [0, 1]])).all()


def test_schemes_and_phases(in_browser):
    (schemes,) = in_browser("m.SCHEMES", [0])
    assert {k: mechanisms.Scaling(**v) for k, v in schemes.items()} == mechanisms.SCHEMES
    draw = random()
    drawn = [mechanisms.Scaling(*(draw.integers(-4, 5, 5) / 4).tolist()) for _ in range(DRAWS)]
    every = [*mechanisms.SCHEMES.values(), *drawn]
    rows = [one._asdict() for one in every]
    assert in_browser("m.phase(x)", rows) == [mechanisms.phase(one) for one in every]
    agree(in_browser("m.exponents(x)", rows), [mechanisms.exponents(one) for one in every])


def test_a_scheme_at_a_width(in_browser):
    draw, rows, theirs = random(), [], []
    for i, (name, scheme) in enumerate(mechanisms.SCHEMES.items()):
        u, v = draw.normal(size=(2, (1, 7, 300)[i % 3]))
        rows.append({"name": name, "u": u.tolist(), "v": v.tolist()})
        setting, weights = mechanisms.at_width(scheme, u, v)
        theirs.append([*setting, *(np.linalg.norm(one) for one in weights)])
    ours = in_browser(
        "(() => { const [s, a] = m.at_width(m.SCHEMES[x.name], m.layers(x.u, x.v), x.u.length);"
        " return [s.gamma, s.eta_u, s.eta_w, s.A, s.y_star, s.c, a.u, a.v]; })()",
        rows,
    )
    agree(ours, theirs)


# Spectra


def test_the_law_of_marchenko_and_pastur(in_browser):
    ratios, shares = between(1e-2, 1e2), shuffled(between(0.01, 0.99, log=False), 1)
    edges = [np.array(spectra.marchenko_pastur_edges(r)) for r in ratios]
    rows = [
        {"x": float(low + share * (high - low)), "r": r}
        for (low, high), share, r in zip(edges, shares, ratios, strict=True)
    ]
    agree(in_browser("s.marchenko_pastur_edges(x.r)", rows), edges, atol=1e-15)
    for name in ("marchenko_pastur_density", "marchenko_pastur_distribution"):
        theirs = [getattr(spectra, name)(row["x"], row["r"]) for row in rows]
        agree(in_browser(f"s.{name}(x.x, x.r)", rows), theirs)


def test_eigenvalues_of_symmetric_matrices(in_browser):
    draw = random()
    sizes = [1, 2, 3, 10, 40, 120]
    matrices = [draw.normal(size=(n, n)) for n in sizes]
    matrices = [one @ one.T for one in matrices] + [np.zeros((4, 4)), np.eye(5)]
    rows = [one.ravel().tolist() for one in matrices]
    ours = in_browser("Array.from(s.eigenvalues(Float64Array.from(x), Math.sqrt(x.length)))", rows)
    for one, matrix in zip(ours, matrices, strict=True):
        values = np.linalg.eigvalsh(matrix)
        agree(one, values, rtol=0, atol=1e-13 * max(abs(values)) + 1e-200)


# Heavy tails


def spikes():
    optimizers = ["Adam", "GD"] * (DRAWS // 2)
    d, c = between(2, 5000, whole=True), shuffled(between(0.01, 20), 1)
    n, noise = shuffled(between(0.1, 30), 2), shuffled(between(0, 5, log=False), 3)
    rates = shuffled(between(1e-3, 1e3), 4)
    return [
        {"o": o, "rate": t, "noise": r,
         "sizes": {"inputs": d, "hidden": max(1, round(d / c)), "samples": max(1, round(d * n))}}
        for o, d, c, n, r, t in zip(optimizers, d.tolist(), c, n, noise, rates, strict=True)
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["update", "spike_law", "teacher_alignment"])
def test_the_spike(name, in_browser):
    rows = spikes()
    theirs = [
        getattr(heavy_tails, name)(x["o"], x["rate"], heavy_tails.Sizes(**x["sizes"]), x["noise"])
        for x in rows
    ]
    agree(in_browser(f"h.{name}(x.o, x.rate, x.sizes, x.noise)", rows), theirs)


def test_the_threshold_and_the_law_of_the_first_step(in_browser):
    rows = spikes()
    sizes = [heavy_tails.Sizes(**x["sizes"]) for x in rows]
    theirs = [
        heavy_tails.threshold(x["o"], s, x["noise"]) for x, s in zip(rows, sizes, strict=True)
    ]
    agree(in_browser("h.threshold(x.o, x.sizes, x.noise)", rows), theirs)
    theirs = [
        heavy_tails.first_step_law(s, x["noise"])._asdict()
        for x, s in zip(rows, sizes, strict=True)
    ]
    agree(in_browser("h.first_step_law(x.sizes, x.noise)", rows), theirs)


# Conditioning


@pytest.mark.parametrize("name", ["depth_law", "finite_depth_law", "finite_ratio_of_sums_law"])
def test_laws_of_depth(name, in_browser):
    d, k = between(1, 1000, whole=True), shuffled(between(1, 1000, whole=True), 1)
    wider, depth = shuffled(between(1, 1000), 2), shuffled(between(2, 40, whole=True), 3)
    rows = [
        [d, round(max(d, k) * by), k, L]
        for d, by, k, L in zip(d.tolist(), wider, k.tolist(), depth.tolist(), strict=True)
    ]
    law = getattr(conditioning, name)
    agree(in_browser(f"c.{name}(...x)", rows), [law(*map(float, x[:3]), x[3]) for x in rows])


def test_the_ends_of_products(in_browser):
    rows = [
        [n, n * by, j]
        for n, by, j in zip(between(1, 1000).tolist(), shuffled(between(1.01, 1e3), 1).tolist(),
                           shuffled(between(0, 30, log=False, whole=True), 2).tolist(), strict=True)
    ] + [[9, 9, 2]]  # fmt: skip
    ours = in_browser("c.product_ends(...x)", rows)
    agree(ours, [conditioning.product_ends(*map(float, x)) for x in rows], atol=1e-14)


def test_the_spectrum_and_the_bounds_of_networks_with_skips(in_browser):
    draw, rows, theirs = random(), [], []
    for i in range(40):
        depth, d, k = (
            int(x) for x in (draw.integers(2, 7), draw.integers(1, 9), draw.integers(1, 6))
        )
        width = max(d, k) + int(draw.integers(2, 30))
        weights = conditioning.kaiming(jax.random.key(i), (d, *[width] * (depth - 1), k))
        beta = float(draw.uniform(0, 2)) * (i % 3 > 0)
        rows.append({"beta": beta, "W": [np.asarray(W).tolist() for W in weights]})
        skipped = conditioning.with_skips(weights, beta)
        values = conditioning.linear_spectrum(skipped)
        bounds = conditioning.linear_bounds(skipped)
        theirs.append([values / values[-1], conditioning.linear_condition_number(skipped),
                       bounds.ratio_of_sums, bounds.loose])  # fmt: skip
    ours = in_browser(
        "(() => { const W = c.with_skips(x.W.map((w) => c.matrix(w.length, w[0].length,"
        " Float64Array.from(w.flat()))), x.beta), values = Array.from(c.linear_spectrum(W)),"
        " bounds = c.linear_bounds(W); return [values.map((one) => one / values.at(-1)),"
        " c.linear_condition_number(W), bounds.ratio_of_sums, bounds.loose]; })()",
        rows,
    )
    for one, other in zip(ours, theirs, strict=True):
        # A condition number of 10^k has lost k digits in either program.
        worst = max(float(x) for x in other[1:])
        agree(one[0], other[0], rtol=0, atol=1e-12)
        agree(one[1:], other[1:], rtol=max(1e-9, 1e-14 * worst))
        assert worst < 1e6


# Lenses


def test_the_averages_of_erf(in_browser):
    (ours,) = in_browser("l.ERF", [0])
    agree(ours, [ERF.slope, ERF.power, ERF.slope_power])
    agree(in_browser("l.SINE_CORRELATION", [0]), lenses.SINE_CORRELATION)


def test_richness(in_browser):
    psi, ridge = between(1e-6, 1e6).tolist(), shuffled(between(1e-6, 1e6), 1).tolist()
    rows = list(zip(psi, ridge, strict=True))
    agree(in_browser("l.shrinkage(...x)", rows), [lenses.shrinkage(*x) for x in rows])
    rows = list(zip(*(shuffled(between(1e-3, 1e5), i).tolist() for i in range(5)), strict=True))
    theirs = [lenses.large_sample_richness(*x) for x in rows]
    agree(in_browser("l.large_sample_richness(...x)", rows), theirs)


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [("alignment_signal", 1e-9, 1e6), ("layer_growth", 1e-9, 1e6), ("clock_signal", 1e-6, 1e3),
     ("function_signal", 1e-6, 1e6), ("outlier_onset", 1e-6, 1e6), ("alignment_alarm", 1, 1e9),
     ("clock_alarm", 1, 1e9)],
)  # fmt: skip
def test_a_law_of_one_number(name, low, high, in_browser):
    values = [*between(low, high).tolist(), *([4.0, 5.0] if "alarm" in name else [])]
    agree(in_browser(f"l.{name}(x)", values), [getattr(lenses, name)(x) for x in values])


def test_alarms_and_floors(in_browser):
    d, n = between(2, 5000, whole=True), shuffled(between(2, 10**6, whole=True), 1)
    R, C = shuffled(between(1e-3, 50), 2), shuffled(between(0.1, 10), 3)
    b = shuffled(between(-1, 1, log=False), 4)
    columns = [values.tolist() for values in (d, n, R, C, b)]
    rows = [dict(zip("dnRCb", row, strict=True)) for row in zip(*columns, strict=True)]

    def theirs(x):
        d, n, R, C, b = x.values()
        outlier, edge = lenses.outlier_signal(R, d, n), lenses.edge_floor(d, n)
        share = max(abs(b), 1e-6)
        return [*outlier, *edge, lenses.tail_alarm(d, n), lenses.alignment_floor(n),
                lenses.kernel_signal(R, b), lenses.growth_alarm(share, C, float(n)),
                lenses.function_alarm(float(n), C), *lenses.kernel_shares(ERF, C, b, b),
                *lenses.kernel_floors(ERF, C, b, d), lenses.clock_deviation(R, 9 * abs(b)),
        ]  # fmt: skip

    ours = in_browser(
        "(() => { const { d, n, R, C, b } = x, share = Math.max(Math.abs(b), 1e-6); return ["
        "l.outlier_signal(R, d, n), l.edge_floor(d, n), l.tail_alarm(d, n), l.alignment_floor(n),"
        " l.kernel_signal(R, b), l.growth_alarm(share, C, n), l.function_alarm(n, C),"
        " l.kernel_shares(l.ERF, C, b, b), l.kernel_floors(l.ERF, C, b, d),"
        " l.clock_deviation(R, 9 * Math.abs(b))].map((y) => typeof y === 'number' ? y :"
        " Object.values(y)); })()",
        rows,
    )
    agree(ours, [theirs(x) for x in rows], atol=1e-15)


# The pages


def settled(page):
    """Wait until an explorer has drawn and said what it shows; its settings and results."""
    page.wait_for_function(
        "() => { const e = document.querySelector('.explorer'); return e.dataset.settled &&"
        " e.querySelector('.explorer-summary').textContent; }"
    )
    explorer = page.locator(".explorer").first
    return json.loads(explorer.get_attribute("data-settled")), explorer.evaluate("e => e.results")


HASHES = {
    "training": ["", "#scheme=mean+field&width=1&target=-2.5&start=0.05&draw=3&rate_u=4"],
    "spike": ["", "#optimizer=GD&times=3.1&shape=0.5&samples=1&noise=0&inputs=40"],
    "conditioning": ["", "#depth=4&width=64&skip=0.75&widths=growing&inputs=5&outputs=1"],
    "knob": ["", "#gamma=7.5&width=64&inputs=64"],
}


@pytest.mark.parametrize(("name", "hash"), [(n, h) for n in PAGES for h in HASHES[n]])
def test_the_code_runs_and_gives_what_the_page_shows(name, hash, open_page, capsys):
    page = open_page(f"explore_{name}", hash)
    settings, results = settled(page)
    for key, value in re.findall(r"(\w+)=([\d.-]+)(?=&|$)", hash):
        assert settings[key] == float(value)
    program, space = page.locator(".explorer code").first.text_content(), {}
    exec(compile(program, name, "exec"), space)
    assert capsys.readouterr().out
    for key, value in results.items():
        if isinstance(value, str):
            assert space[key] == value
        elif isinstance(value, dict):
            assert set(space[key]) == set(value)
            agree([value[one] for one in value], [space[key][one] for one in value])
        else:
            agree([value], space[key], atol=1e-12)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390, 320])
@pytest.mark.parametrize("name", PAGES)
def test_a_page_fits_and_every_control_has_a_name(name, width, theme, open_page):
    page = open_page(f"explore_{name}", width=width, theme=theme)
    settled(page)
    size = page.evaluate("() => [document.documentElement.scrollWidth, innerWidth]")
    assert size[0] <= size[1]
    unnamed = page.evaluate(
        "() => [...document.querySelectorAll('.explorer :is(input,select,button,[role=img])')]"
        ".filter((e) => !e.labels?.length && !e.ariaLabel && !e.textContent.trim())"
        ".length"
    )
    assert unnamed == 0
    assert page.locator(".explorer-picture canvas").count() >= 1


@pytest.mark.parametrize("name", PAGES)
def test_every_control_answers_to_the_keyboard_and_the_summary_follows(name, open_page):
    page = open_page(f"explore_{name}")
    for control in page.locator(".explorer :is(input[type=range], select)").all():
        before, _ = settled(page)
        control.focus()
        key = control.get_attribute("id").rsplit("-", 1)[-1]
        control.press("ArrowRight" if control.get_attribute("type") else "ArrowDown")
        page.wait_for_function(
            "([key, value]) => JSON.parse(document.querySelector('.explorer').dataset.settled)[key]"
            " !== value",
            arg=[key, before[key]],
        )
        assert key in page.url.partition("#")[2]
    page.get_by_role("button", name="Reset").click()
    page.wait_for_function("() => !location.hash")


def test_the_link_holds_the_settings(open_page):
    page = open_page("explore_knob", "#gamma=5&width=256")
    settled(page)
    page.get_by_role("button", name="Copy link").click()
    assert page.evaluate("navigator.clipboard.readText()").endswith("#gamma=5&width=256")
    page.get_by_label("The knob γ, as a number").fill("1e9")  # which is more than there is
    page.get_by_label("The knob γ, as a number").press("Enter")
    page.wait_for_function("() => location.hash.includes('gamma=100&')")


def test_settings_that_are_none_are_left_alone(open_page):
    page = open_page("explore_training", "#width=many&scheme=best&start=-4&draw=77&x=1")
    settings, _ = settled(page)
    assert settings["width"] == 64 and settings["scheme"] == "NTK"
    assert settings["start"] == 0.01 and settings["draw"] == 5


@pytest.mark.parametrize("name", PAGES)
def test_a_small_one_has_few_controls_one_plot_and_a_way_to_the_rest(name, open_page, tmp_path):
    page = open_page(f"explore_{name}", small=tmp_path)
    settled(page)
    assert 2 <= page.locator(".explorer :is(input[type=range], select)").count() <= 3
    assert page.locator(".explorer-picture").count() == 1
    page.locator(".explorer input[type=range]").first.press("ArrowRight")
    page.wait_for_function("() => document.querySelector('.explorer-more').href.includes('#')")
    assert "#" not in page.url
    assert f"explore_{name}.html#" in page.locator(".explorer-more").get_attribute("href")
