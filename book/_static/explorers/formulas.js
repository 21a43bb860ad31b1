// The closed forms of the library that the explorers draw, in the browser.
//
// Each has the name and the place of its original in the library, where it is derived; a test
// holds the two against each other. Nothing here touches the page.
"use strict";

(() => {
  const { PI, abs, atan2, asin, cbrt, cos, exp, expm1, hypot, log, log1p, max, min, pow, sin, sqrt,
    tanh, trunc } = Math;
  const sum = (values) => values.reduce((total, x) => total + x, 0);
  const dot = (a, b) => { let s = 0; for (let i = 0; i < a.length; i++) s += a[i] * b[i]; return s; };
  const quotient = (x, y) => (y === 0 ? 0 : x / y);
  const ratio = (x, y) => (y > 0 ? x / y : Infinity);

  // ---------------------------------------------------------------- mechanisms

  const mechanisms = {};

  // The constants of the flow: γ, η_u, η_w, A, y*, c.
  mechanisms.Setting = (given = {}) =>
    ({ gamma: 1, eta_u: 1, eta_w: 1, A: 1, y_star: 1, c: 1, ...given });

  // Of both layers the solution takes no more than |u|, |v| and the angle between them, whose sine
  // comes from the part of v across u: √(1 − cos²) would have half the digits near 0.
  const layers = (u, v) => {
    const lengths = [u, v].map((x) => sqrt(dot(x, x)));
    if (!lengths[0] || !lengths[1]) return { u: lengths[0], v: lengths[1], cosine: 0, sine: 1 };
    const along = dot(u, v) / lengths[0];
    const rest = v.map((x, i) => x - (along * u[i]) / lengths[0]);
    const sine = sqrt(dot(rest, rest)) / lengths[1];
    return { u: lengths[0], v: lengths[1], cosine: along / lengths[1], sine };
  };
  mechanisms.layers = layers;

  const sharedRate = (s) => sqrt(s.eta_u * s.eta_w);

  // M ± F = γ g |p|²/2 and γ g |q|²/2 with p, q = u/√η_u ± v/√η_w, N = √((M + F)(M − F)), and
  // E = √(y*² + N²).
  const parts = (s, start) => {
    const a = start.u / sqrt(s.eta_u), b = start.v / sqrt(s.eta_w), apart = (a - b) ** 2;
    const near = start.sine ** 2 / (1 + abs(start.cosine)); // 1 − |cos|, without a difference
    const [plus, minus] = start.cosine >= 0 ? [1 + start.cosine, near] : [near, 1 - start.cosine];
    const half = (s.gamma * sharedRate(s)) / 2;
    const M = [plus, minus].map((one) => half * (apart + 2 * a * b * one));
    const N = sqrt(M[0]) * sqrt(M[1]);
    return { plus: M[0], minus: M[1], N, E: hypot(s.y_star, N) };
  };

  const outputOf = (s, start) => s.gamma * start.u * start.v * start.cosine;

  // N = √(M² − F²) and N⊥ = γ |u||v| sin ζ, both conserved.
  mechanisms.invariants = (s, start) =>
    ({ N: parts(s, start).N, N_perp: s.gamma * start.u * start.v * start.sine });

  // F, F − y*, κ, cos ζ and R at each time: with λ = 2ωE, ω = c A γ g, ε = e^(−λt), T = (1 − ε)/E,
  //   z = X/Y,  X = 1 + ε + (M₋ + y*) T,  Y = 1 + ε + (M₊ − y*) T,
  //   F = (M₊ z − M₋/z)/2,  κ = γ g (M₊ z + M₋/z),  F − y* = 4 ε (F(0) − y*)/(X Y).
  mechanisms.evolve = (s, start, times) => {
    const { plus, minus, N, E } = parts(s, start);
    const rate = sharedRate(s), omega = s.c * s.A * s.gamma * rate;
    const size = abs(s.y_star), up = s.y_star >= 0, gap = N * quotient(N, E + size);
    const first = outputOf(s, start) - s.y_star;
    const { N_perp } = mechanisms.invariants(s, start);
    return times.map((t) => {
      const decay = 2 * omega * E * t, epsilon = exp(-decay);
      const T = 2 * omega * t * (decay > 0 ? -expm1(-decay) / decay : 1);
      const ahead = 1 + epsilon + size * T, behind = 2 * epsilon + gap * T;
      const X = minus * T + (up ? ahead : behind), Y = plus * T + (up ? behind : ahead);
      const high = Y > 0 ? (plus * X) / Y : 0, low = X > 0 ? (minus * Y) / X : 0;
      const early = (high + low) / 2 < size / 2;
      const product = X * Y > 0 ? X * Y : 1;
      const residual = early ? (high - low) / 2 - s.y_star : (4 * epsilon * first) / product;
      const output = early ? (high - low) / 2 : s.y_star + residual;
      const scale = hypot(output, N_perp);
      const kernel = s.gamma * rate * (high + low);
      return { output, residual, kernel, cosine: quotient(output, scale), scale };
    });
  };

  // λ = 2 c A γ g √(y*² + N²)
  mechanisms.learning_speed = (s, start) =>
    2 * s.c * s.A * s.gamma * sharedRate(s) * parts(s, start).E;

  // κ(∞)/κ(0) − 1 = (y*² − F(0)²)/(M(0) (E + M(0)))
  mechanisms.kernel_change = (s, start) => {
    const { plus, minus, E } = parts(s, start), M = (plus + minus) / 2, F = outputOf(s, start);
    return M > 0 ? ((s.y_star - F) * (s.y_star + F)) / (M * (E + M)) : Infinity;
  };

  // κ = 2 γ g √(N² + F²)
  mechanisms.kernel_law = (s, output, N) => 2 * s.gamma * sharedRate(s) * hypot(N, output);

  // cos ζ = F/√(F² + N⊥²)
  mechanisms.cosine_law = (output, N_perp) => quotient(output, hypot(output, N_perp));

  // λ t = ln [(N² + y* F + E √(N² + F²))/|y* − F|] from F(0) to F, arranged so that no digit is
  // lost; ∞ where the output never gets there.
  mechanisms.time_to_reach = (s, start, output) => {
    const { N } = parts(s, start), omega = s.c * s.A * s.gamma * sharedRate(s);
    const F = outputOf(s, start), y = abs(s.y_star);
    if (output === F) return 0;
    if ((output - F) * (output - s.y_star) >= 0) return Infinity;
    const sign = s.y_star === 0 ? (F < 0 ? -1 : 1) : s.y_star < 0 ? -1 : 1;
    const F0 = sign * F, F1 = sign * output;
    return timeBelowZero(omega, N, y, min(F0, 0), min(F1, 0))
      + timeAboveZero(omega, N, y, max(F0, 0), max(F1, 0));
  };

  const timeAboveZero = (omega, N, y, F0, F1) => {
    const { E, middle, across, H0 } = between(N, y, F0, F1);
    const unit = E > 0 ? y : 1;
    const K = hypot(N, unit) + unit * middle + across;
    const Q = N * N + unit * F0 + hypot(N, unit) * H0;
    return timeOf(omega, E, (F1 - F0) * K, Q * (y - F1));
  };

  const timeBelowZero = (omega, N, y, F0, F1) => {
    const { E, middle, across, H0, H1 } = between(N, y, F0, F1);
    const slope = quotient(F1, H1), rest = quotient(N, H1);
    const both = slope * quotient(F0, H0);
    const square = y * y + (2 * N * N * both) / (1 + both + rest * quotient(N, H0));
    const K = quotient(square, E + across) - y * middle;
    const P = H1 * quotient(y * y + (N * slope) ** 2, E + N * rest) - y * F1;
    return timeOf(omega, E, (F1 - F0) * K, P * (y - F0));
  };

  const between = (N, y, F0, F1) => {
    const H0 = hypot(N, F0), H1 = hypot(N, F1);
    const f0 = quotient(abs(F0), H0), f1 = quotient(abs(F1), H1);
    const across = N * quotient(f0 * quotient(N, H1) + f1 * quotient(N, H0), f0 + f1);
    return { E: hypot(N, y), middle: quotient(F0 + F1, H0 + H1), across, H0, H1 };
  };

  const timeOf = (omega, E, numerator, denominator) => {
    if (numerator === 0) return 0;
    if (denominator === 0) return Infinity;
    const w = numerator / denominator, x = E * w;
    return (x < 1e-5 ? w * (1 - x / 2 + (x * x) / 3) : log1p(x) / E) / (2 * omega);
  };

  // Δ ln |cos ζ|/Δ ln |F| between two states; nan where the output vanishes or changes its sign.
  mechanisms.turning_share = (cosine, scale) => {
    if (!(cosine[0] * cosine[1] > 0) || !(scale[0] * scale[1] > 0)) return NaN;
    const turned = log(abs(cosine[1])) - log(abs(cosine[0]));
    const learned = turned + log(scale[1]) - log(scale[0]);
    return learned === 0 ? NaN : turned / learned;
  };

  // The exponents of the width: of γ, η_u, η_w and of the standard deviations of u and v.
  const scaling = (gamma, rate_u, rate_w, std_u, std_w) => ({ gamma, rate_u, rate_w, std_u, std_w });
  mechanisms.SCHEMES = {
    "NTK": scaling(-0.5, 0, 0, 0, 0),
    "mean field": scaling(-1, 1, 1, 0, 0),
    "maximal update": scaling(0, -1, 1, -1, 0),
    "Kaiming, rates 1/d": scaling(0, -1, -1, -0.5, 0),
    "Kaiming, rates 1": scaling(0, 0, 0, -0.5, 0),
    "Xavier, rates 1": scaling(0, 0, 0, -0.5, -0.5),
    "mean field, rates 1": scaling(-1, 0, 0, 0, 0),
    "NTK, last layer only": scaling(-0.5, 0, -2, 0, 0),
    "small initialisation": scaling(0, 0, 0, -1, -1),
    "lazy but aligning": scaling(0, -1, 0, -1, 0),
  };

  const twelve = (x) => Math.round(x * 1e12) / 1e12; // an exponent that is zero but for rounding

  // m = max(e_u, e_w), n⊥ = (e_u + e_w)/2, φ = n⊥ − ½, ℓ = c_γ + (r_u + r_w)/2 + max(m, 0)
  mechanisms.exponents = (of) => {
    const u = twelve(of.gamma + 1 + 2 * of.std_u + (of.rate_w - of.rate_u) / 2);
    const w = twelve(of.gamma + 1 + 2 * of.std_w + (of.rate_u - of.rate_w) / 2);
    const size = max(u, w), across = (u + w) / 2, output = across - 0.5;
    const speed = twelve(of.gamma + (of.rate_u + of.rate_w) / 2 + max(size, 0));
    const kernel_change = size > 0 ? -2 * size + 2 * max(output, 0) : -size;
    return { size, across, output, speed, kernel_change };
  };

  mechanisms.phase = (of) => {
    const e = mechanisms.exponents(of);
    const name = e.size > 0 ? (e.across > 0 ? "kernel" : "kernel, turning")
      : e.size === 0 ? "feature" : "feature, plateau";
    return name + (e.speed > 0 ? ", unstable" : e.speed < 0 ? ", frozen" : "");
  };

  // γ = d^c_γ, η = d^r, and the weights times d^s
  mechanisms.at_width = (of, start, width) => [
    mechanisms.Setting({
      gamma: pow(width, of.gamma), eta_u: pow(width, of.rate_u), eta_w: pow(width, of.rate_w),
    }),
    { ...start, u: start.u * pow(width, of.std_u), v: start.v * pow(width, of.std_w) },
  ];

  // ------------------------------------------------------------------- spectra

  const spectra = {};
  const TRACY_WIDOM_MEAN = -1.206533574582, TRACY_WIDOM_SD = 1.26798; // of real matrices

  // σ² (1 ∓ √r)²
  spectra.marchenko_pastur_edges = (r, variance = 1) =>
    [variance * (1 - sqrt(r)) ** 2, variance * (1 + sqrt(r)) ** 2];

  // ρ(x) = √((b − x)(x − a))/(2π r x)
  spectra.marchenko_pastur_density = (x, r) => {
    const [low, high] = spectra.marchenko_pastur_edges(r);
    return low < x && x < high ? sqrt((high - x) * (x - low)) / (2 * PI * r * x) : 0;
  };

  // F(x) = [θ + sin θ/√r − (1/r − 1) arctan(√r sin θ/(1 − √r cos θ))]/π for r ≤ 1, where
  // x = 1 + r − 2 √r cos θ; larger ratios through 1/r.
  spectra.marchenko_pastur_distribution = (x, given) => {
    if (x < 0) return 0;
    const r = min(given, 1 / given), factor = max(given, 1), share = min(1, 1 / given);
    const s = sqrt(r), left = x / factor - (1 - s) ** 2, right = (1 + s) ** 2 - x / factor;
    const theta = 2 * atan2(sqrt(max(left, 0)), sqrt(max(right, 0)));
    const angle = atan2(s * sin(theta), 1 - s * cos(theta));
    const up = (theta + sin(theta) / s - (1 / r - 1) * angle) / PI;
    return 1 - share + share * min(max(up, 0), 1);
  };

  // (√(h−1) + √d)² + (√(h−1) + √d) (1/√(h−1) + 1/√d)^⅓ E TW_1
  spectra.largest_eigenvalue_mean = (rows, columns) => {
    const one = sqrt(rows - 1), other = sqrt(columns);
    return (one + other) ** 2 + (one + other) * cbrt(1 / one + 1 / other) * TRACY_WIDOM_MEAN;
  };

  // The eigenvalues of a symmetric matrix of n rows (in one array, row by row; it is overwritten),
  // ascending: by reflections to three diagonals, and bisection that counts signs.
  spectra.eigenvalues = (A, n) => {
    const diagonal = new Float64Array(n), beside = new Float64Array(n);
    for (let k = n - 1; k > 0; k--) { // reflect row k onto its last entry before the diagonal
      const row = A.subarray(k * n, k * n + k);
      let norm = hypotOf(row);
      diagonal[k] = A[k * n + k];
      if (k === 1 || norm === 0) { beside[k] = k === 1 ? row[0] : 0; continue; }
      if (row[k - 1] > 0) norm = -norm;
      beside[k] = norm;
      const v = Float64Array.from(row);
      v[k - 1] -= norm;
      const half = -norm * v[k - 1]; // |v|²/2
      const p = new Float64Array(k);
      for (let i = 0; i < k; i++) { // the upper triangle is not kept: read below the diagonal
        let total = 0;
        for (let j = 0; j <= i; j++) total += A[i * n + j] * v[j];
        for (let j = 0; j < i; j++) p[j] += A[i * n + j] * v[i];
        p[i] += total;
      }
      for (let i = 0; i < k; i++) p[i] /= half;
      const along = dot(p, v) / (2 * half);
      for (let i = 0; i < k; i++) p[i] -= along * v[i];
      for (let i = 0; i < k; i++) {
        for (let j = 0; j <= i; j++) A[i * n + j] -= v[i] * p[j] + p[i] * v[j];
      }
    }
    diagonal[0] = A[0];
    return bisect(diagonal, beside, n);
  };

  const hypotOf = (row) => {
    let largest = 0, total = 0;
    for (const x of row) largest = max(largest, abs(x));
    if (largest === 0) return 0;
    for (const x of row) total += (x / largest) ** 2;
    return largest * sqrt(total);
  };

  const bisect = (diagonal, beside, n) => {
    let low = Infinity, high = -Infinity;
    for (let i = 0; i < n; i++) {
      const reach = abs(beside[i]) + (i + 1 < n ? abs(beside[i + 1]) : 0);
      low = min(low, diagonal[i] - reach);
      high = max(high, diagonal[i] + reach);
    }
    const tiny = 1e-300 + 1e-32 * max(abs(low), abs(high)) ** 2;
    const below = (x) => { // the number of eigenvalues less than x
      let count = 0, pivot = 1;
      for (let i = 0; i < n; i++) {
        pivot = diagonal[i] - x - (i ? beside[i] ** 2 / pivot : 0);
        if (abs(pivot) < tiny) pivot = -tiny;
        if (pivot < 0) count++;
      }
      return count;
    };
    const values = new Float64Array(n);
    const stack = [[low - tiny, high + tiny, 0, n]];
    while (stack.length) {
      const [left, right, first, last] = stack.pop();
      if (first === last) continue;
      const middle = (left + right) / 2;
      if (middle <= left || middle >= right || right - left < 1e-16 * max(abs(left), abs(right))) {
        values.fill(middle, first, last);
        continue;
      }
      const count = min(max(below(middle), first), last);
      stack.push([left, middle, first, count], [middle, right, count, last]);
    }
    return values;
  };

  // --------------------------------------------------------------- heavy tails

  const heavy_tails = {};

  // E f(g) for g ~ N(0, 1), by the trapezoidal rule from −10 to 10 at steps of 1/64
  heavy_tails.normal_mean = (f) => {
    let total = 0, weights = 0;
    for (let i = 0; i <= 1280; i++) {
      const g = -10 + i / 64, weight = exp((-g * g) / 2);
      total += weight * f(g);
      weights += weight;
    }
    return total / weights;
  };

  const mean = heavy_tails.normal_mean, slopeAt = (g) => 1 - tanh(g) ** 2;
  const softplus = (g) => max(g, 0) + log1p(exp(-abs(g)));
  const SLOPE = mean(slopeAt), SLOPE_VARIANCE = mean((g) => slopeAt(g) ** 2) - SLOPE ** 2;
  const FEATURE_POWER = mean((g) => tanh(g) ** 2);
  const TEACHER_SLOPE = 0.5, TEACHER_POWER = mean((g) => softplus(g) ** 2);

  // With δ = d/n, E r² = E tanh² + E softplus² + ρ², ‖q‖² = μ₁² + c₁² + δ E r²,
  // R² = μ₁² ‖q‖²/(v₁ δ E r²), κ_s² = (2/π) arcsin(R²/(1 + R²))
  heavy_tails.first_step_law = ({ inputs, samples }, noise) => {
    const delta = inputs / samples;
    const residual_power = FEATURE_POWER + TEACHER_POWER + noise ** 2;
    const q2 = SLOPE ** 2 + TEACHER_SLOPE ** 2 + delta * residual_power;
    const signal = (SLOPE ** 2 * q2) / (SLOPE_VARIANCE * delta * residual_power);
    return {
      residual_power, q_norm: sqrt(q2), teacher_overlap: TEACHER_SLOPE / sqrt(q2),
      remainder: pow(signal, -0.5), stable_rank: 1 + 1 / signal,
      gradient_norm: 2 * SLOPE * sqrt(q2 / inputs), signal,
      sign_norm: sqrt((2 / PI) * asin(signal / (1 + signal))),
    };
  };

  // τ², ‖p‖² and |p·β| after one step. GD: 1, d − 2 η s₀ √d μ₁/‖q‖ + (η s₀)², η s₀ c₁/‖q‖.
  // Adam: 1 + η² (1 − κ_s²), d τ² − 2 η √h d k' + η² h d κ_s², η √(2hd/π) (c₁/‖q‖) R/√(1 + R²).
  heavy_tails.update = (optimizer, rate, sizes, noise) => {
    const { inputs: d, hidden: h } = sizes, law = heavy_tails.first_step_law(sizes, noise);
    const own = SLOPE / law.q_norm;
    if (optimizer === "GD") {
      const size = rate * law.gradient_norm;
      return {
        variance: 1, p_norm2: d - 2 * size * sqrt(d) * own + size ** 2,
        teacher: size * law.teacher_overlap,
      };
    }
    const seen = sqrt(law.signal / (1 + law.signal));
    const variance = 1 + rate ** 2 * (1 - law.sign_norm ** 2);
    const cross = 2 * rate * sqrt(h) * d * ((2 / PI) * own * seen);
    return {
      variance, p_norm2: d * variance - cross + rate ** 2 * h * d * law.sign_norm ** 2,
      teacher: rate * sqrt((h * d * 2) / PI) * law.teacher_overlap * seen,
    };
  };

  // With c = d/h and θ² = (‖p‖² − d τ²)/(h τ²) > √c:
  // σ₁² = h τ² (1 + θ²)(c + θ²)/θ², (v₁·p̂)² = 1 − c/θ⁴; else the edge τ(√h + √d)
  heavy_tails.outlier = (p_norm2, variance, { inputs: d, hidden: h }) => {
    const c = d / h, size = p_norm2 / variance;
    if (!((size - d) / h > sqrt(c))) {
      return { sigma: sqrt(variance) * (sqrt(h) + sqrt(d)), left: 0, right: 0 };
    }
    const inverse = h / (size - d);
    const right = 1 - c * inverse ** 2;
    const sigma = sqrt(p_norm2) * sqrt((1 + (h - d) / size) * (1 + c * inverse));
    return { sigma, left: right / (1 + inverse), right };
  };

  heavy_tails.spike_law = (optimizer, rate, sizes, noise) => {
    const { p_norm2, variance } = heavy_tails.update(optimizer, rate, sizes, noise);
    return heavy_tails.outlier(p_norm2, variance, sizes);
  };

  // |v₁·β| = |v₁·p̂| |p·β|/‖p‖
  heavy_tails.teacher_alignment = (optimizer, rate, sizes, noise) => {
    const after = heavy_tails.update(optimizer, rate, sizes, noise);
    const { right } = heavy_tails.outlier(after.p_norm2, after.variance, sizes);
    return right > 0 ? sqrt(right / after.p_norm2) * after.teacher : 0;
  };

  // η* where θ² = √c. GD: d [1 + √(1 + ‖q‖²/(μ₁² √c))]/(2‖q‖²);
  // Adam: [k' √c + √(k'² c + κ_s² √c)]/(κ_s² √d), k' = (2/π)(μ₁/‖q‖) R/√(1 + R²)
  heavy_tails.threshold = (optimizer, sizes, noise) => {
    const { inputs: d, hidden: h } = sizes, c = d / h;
    const law = heavy_tails.first_step_law(sizes, noise);
    if (optimizer === "GD") {
      const room = 1 + law.q_norm ** 2 / (SLOPE ** 2 * sqrt(c));
      return (d * (1 + sqrt(room))) / (2 * law.q_norm ** 2);
    }
    const own = ((2 / PI) * SLOPE * sqrt(law.signal / (1 + law.signal))) / law.q_norm;
    const room = own ** 2 * c + law.sign_norm ** 2 * sqrt(c);
    return (own * sqrt(c) + sqrt(room)) / (law.sign_norm ** 2 * sqrt(d));
  };

  // -------------------------------------------------------------- conditioning

  const conditioning = {};

  // log κ ≈ 2 (ρ_d + ρ_k), ρ_d = 2 √(d/m) √(L (2L − 1)/(6 (L − 1))),
  // ρ_k = 2 √(k/m) √((L − 2)(2L − 3)/(6 (L − 1)))
  conditioning.depth_law = (d, m, k, L) => exp(4 * (
    sqrt((d / m) * ((L * (2 * L - 1)) / (6 * (L - 1))))
    + sqrt((k / m) * (((L - 2) * (2 * L - 3)) / (6 * (L - 1))))));

  // log κ ≈ 4 [√(d/m) √(Σ_(i<L) i²) f_d + √(k/m) √(Σ_(l=2..L) (l − 2 + d/m)²) f_k]/(L − 1 + d/m),
  // f_n = 1 − 0.603 n^(−⅔)
  conditioning.finite_depth_law = (d, m, k, L) => {
    const share = d / m, steps = Array.from({ length: L - 1 }, (_, i) => i + 1);
    const below = (n) => 1 + (TRACY_WIDOM_MEAN / 2) * pow(n, -2 / 3);
    const ofInputs = sqrt(share * sum(steps.map((i) => i ** 2))) * below(d);
    const ofOutputs = sqrt((k / m) * sum(steps.map((i) => (i - 1 + share) ** 2))) * below(k);
    return exp((4 * (ofInputs + ofOutputs)) / (L - 1 + share));
  };

  // The ends x(z), at j c z² + (j − 1) c z = 1, of x(z) = (1 + z)(1 + c z)^j/z, and inside them
  // by 1.2065 (x³ |(ln x)''|/2)^⅓ n^(−⅔); c = n/m at n − ½ and m − ½.
  conditioning.product_ends = (size, width, j) => {
    const wide = width > size, n = max(size, 1) - 0.5, m = max(width, 1) - 0.5;
    const c = n / m, some = max(j, 1), middle = (some - 1) * c;
    const root = sqrt(middle ** 2 + 4 * some * c);
    const [low, high] = [-middle - root, -middle + root].map((twice) => {
      const z = twice / (2 * some * c), x = ((1 + z) * pow(1 + c * z, some)) / z;
      const bend = 1 / z ** 2 - 1 / (1 + z) ** 2 - some * (c / (1 + c * z)) ** 2;
      const inside = TRACY_WIDOM_MEAN * cbrt((x ** 3 * bend) / 2) * pow(n, -2 / 3);
      return j > 0 ? max(x + inside, 0) : 1;
    });
    return [wide || j < 1 ? low : 0, high];
  };

  // Σ_l a_l⁺ b_l⁺/Σ_l a_l⁻ b_l⁻ of the ends of products of L − l and of l − 1 matrices
  conditioning.finite_ratio_of_sums_law = (d, m, k, L) => {
    let tops = 0, bottoms = 0;
    for (let before = 0; before < L; before++) {
      const a = conditioning.product_ends(k, m, L - 1 - before);
      const b = conditioning.product_ends(d, m, before), unit = before ? m / d : 1;
      tops += unit * a[1] * b[1];
      bottoms += unit * a[0] * b[0];
    }
    return ratio(tops, bottoms);
  };

  // A matrix is {rows, columns, data}, row by row.
  const matrix = (rows, columns, data = new Float64Array(rows * columns)) => ({ rows, columns, data });
  const product = (A, B) => {
    const C = matrix(A.rows, B.columns);
    for (let i = 0; i < A.rows; i++) {
      const out = C.data.subarray(i * B.columns, (i + 1) * B.columns);
      for (let l = 0; l < A.columns; l++) {
        const a = A.data[i * A.columns + l], row = l * B.columns;
        for (let j = 0; j < B.columns; j++) out[j] += a * B.data[row + j];
      }
    }
    return C;
  };
  const transpose = (A) => {
    const T = matrix(A.columns, A.rows);
    for (let i = 0; i < A.rows; i++) {
      for (let j = 0; j < A.columns; j++) T.data[j * A.rows + i] = A.data[i * A.columns + j];
    }
    return T;
  };
  const identity = (n) => {
    const I = matrix(n, n);
    for (let i = 0; i < n; i++) I.data[i * n + i] = 1;
    return I;
  };
  const gram = (A) => product(A, transpose(A));
  Object.assign(conditioning, { matrix, product, transpose });

  // W^l + β I, with I rectangular where W^l is
  conditioning.with_skips = (weights, beta) => weights.map((W) => {
    const sum = matrix(W.rows, W.columns, Float64Array.from(W.data));
    for (let i = 0; i < min(W.rows, W.columns); i++) sum.data[i * W.columns + i] += beta;
    return sum;
  });

  // A_l = W^(L:l+1) W^(L:l+1)ᵀ and C_l = W^(l−1:1)ᵀ W^(l−1:1), on whitened data
  conditioning.linear_factors = (weights) => {
    const L = weights.length, after = new Array(L), before = new Array(L);
    after[L - 1] = identity(weights[L - 1].rows);
    for (let l = L - 2; l >= 0; l--) after[l] = product(after[l + 1], weights[l + 1]);
    before[0] = identity(weights[0].columns); // transposed, so that rows are short
    for (let l = 1; l < L; l++) before[l] = product(before[l - 1], transpose(weights[l - 1]));
    return { A: after.map(gram), C: before.map(gram) };
  };

  // The eigenvalues of Ĝ = Σ_l A_l ⊗ C_l, ascending
  conditioning.linear_spectrum = (weights) => spectrumOf(conditioning.linear_factors(weights));

  const spectrumOf = ({ A, C }) => {
    const k = A[0].rows, s = C[0].rows, n = k * s, G = new Float64Array(n * n);
    A.forEach((a, l) => {
      const c = C[l].data;
      for (let p = 0; p < k; p++) for (let q = 0; q < k; q++) {
        const factor = a.data[p * k + q];
        for (let i = 0; i < s; i++) {
          const row = (p * s + i) * n + q * s;
          for (let j = 0; j < s; j++) G[row + j] += factor * c[i * s + j];
        }
      }
    });
    return spectra.eigenvalues(G, n);
  };

  // κ = λ_max/λ_min, for widths of at least min(d, k), where Ĝ has full rank
  conditioning.linear_condition_number = (weights) => {
    const values = conditioning.linear_spectrum(weights);
    return ratio(values[values.length - 1], values[0]);
  };

  // κ ≤ Σ_l M_l/Σ_l μ_l ≤ max_l M_l/μ_l with M_l = λ_max(A_l) λ_max(C_l), μ_l likewise
  conditioning.linear_bounds = (weights) => {
    const { A, C } = conditioning.linear_factors(weights);
    const ends = (one) => {
      const values = spectra.eigenvalues(Float64Array.from(one.data), one.rows);
      const last = values[one.rows - 1], floor = one.rows * Number.EPSILON * abs(last);
      return [values[0] > floor ? values[0] : 0, last];
    };
    const pairs = A.map((a, l) => {
      const [x, y] = [ends(a), ends(C[l])];
      return [x[1] * y[1], x[0] * y[0]];
    });
    return {
      ratio_of_sums: ratio(sum(pairs.map(([M]) => M)), sum(pairs.map(([, mu]) => mu))),
      loose: pairs.reduce((most, [M, mu]) => max(most, ratio(M, mu)), 0),
    };
  };

  // -------------------------------------------------------------------- lenses

  const lenses = {};
  const LOUDNESS = 2, CLOCK_PEAK = 1.97268383, CLOCK_FLOOR = 0.82;
  const FUNCTION_PILOT = [[0.43, 0.86, 1.72, 3.44], [0.006, 0.02, 0.0524, 0.104]];
  lenses.SINE_CORRELATION = sqrt(2 / (1 - exp(-2))) * exp(-0.5);

  // Of φ = erf: E φ' = 2/√(3π), E φ² = (2/π) arcsin(2/3), E φ'² = 4/(π √5)
  lenses.ERF = {
    slope: 2 / sqrt(3 * PI), power: (2 / PI) * asin(2 / 3), slope_power: 4 / (PI * sqrt(5)),
  };
  const nuggets = (of) => [of.power - of.slope ** 2, of.slope_power - of.slope ** 2];

  // γ √(d/n) b/μ₁
  lenses.large_sample_richness = (scale, width, inputs, slope, correlation) =>
    (scale * sqrt(inputs / width) * correlation) / slope;

  // τ = 2 ψ/(1 + λ + ψ + √((λ + (1 − √ψ)²)(1 + λ + ψ + 2 √ψ)))
  lenses.shrinkage = (psi, ridge) => {
    const root = sqrt(psi), middle = 1 + ridge + psi;
    return (2 * psi) / (middle + sqrt((ridge + (1 - root) ** 2) * (middle + 2 * root)));
  };

  // R/√(1 + R²)
  lenses.alignment_signal = (R) => mechanisms.cosine_law(R, 1);

  // 1/√n
  lenses.alignment_floor = (width) => pow(width, -0.5);

  // R* = 2/√(n − 4)
  lenses.alignment_alarm = (width) =>
    (width > LOUDNESS ** 2 ? LOUDNESS / sqrt(width - LOUDNESS ** 2) : Infinity);

  // ℓ − 1 = √(1 + R²) − 1
  lenses.layer_growth = (R) => R * (R / (1 + hypot(1, R)));

  const partsOfTarget = (of, ratio, correlation) => {
    const [outer, inner] = nuggets(of);
    const linear = 2 * of.slope ** 2 * (ratio * correlation ** 2 + 1);
    return [linear / (linear + outer + inner), inner / (linear + outer + inner)];
  };

  // [2 μ₁² (ψ b² + 1) + κ_w]/S, E φ'²/(E φ² + E φ'²), (1 + o²)/2, κ_w/κ
  lenses.kernel_shares = (of, ratio, correlation, overlap) => {
    const [linear, hidden] = partsOfTarget(of, ratio, correlation), [outer, inner] = nuggets(of);
    return {
      target: linear + hidden, trace: of.slope_power / (of.power + of.slope_power),
      largest: (1 + overlap ** 2) / 2, smallest: inner / (outer + inner),
    };
  };

  // √2 √(p_L²/4 + (p_L/2 + p_w)²), √2 √(E φ'²² + μ₁⁴/d)/(E φ² + E φ'²)
  lenses.kernel_floors = (of, ratio, correlation, inputs) => {
    const [linear, hidden] = partsOfTarget(of, ratio, correlation);
    const trace = hypot(of.slope_power, of.slope ** 2 / sqrt(inputs));
    return {
      target: sqrt(2) * hypot(linear / 2, linear / 2 + hidden),
      trace: (sqrt(2) * trace) / (of.power + of.slope_power),
    };
  };

  lenses.kernel_signal = (R, share) => lenses.layer_growth(R) * share;

  // ℓ* − 1 = 2 C/(|share| √n), R* = √(ℓ*² − 1)
  lenses.growth_alarm = (share, floor, width) => {
    const growth = (LOUDNESS * floor) / (abs(share) * sqrt(width));
    return sqrt(growth * (2 + growth));
  };

  // σ₁ over √n + √d of a spike of θ² = ℓ − 1, and (v₁·β)² = (1 − c/θ⁴)/(1 + c/θ²)
  lenses.outlier_signal = (R, inputs, width) => {
    const grown = width * lenses.layer_growth(R);
    const found = heavy_tails.outlier(inputs + grown, 1, { inputs, hidden: width });
    return {
      height: found.sigma / (sqrt(width) + sqrt(inputs)),
      overlap: (found.right * grown) / (inputs + grown),
    };
  };

  // R = √(2√c + c)
  lenses.outlier_onset = (c) => sqrt(sqrt(c)) * sqrt(2 + sqrt(c));

  // E σ₁ and its standard deviation, 1.268 (√(n−1) + √d)(1/√(n−1) + 1/√d)^⅓/(2 E σ₁)
  lenses.edge_floor = (inputs, width) => {
    const mean = sqrt(spectra.largest_eigenvalue_mean(width, inputs));
    const one = sqrt(width - 1), other = sqrt(inputs);
    const spread = (one + other) * cbrt(1 / one + 1 / other);
    return { mean, sd: (TRACY_WIDOM_SD * spread) / (2 * mean) };
  };

  // R* where σ₁² = n (1 + θ²)(c + θ²)/θ² is that of two floors above the mean
  lenses.tail_alarm = (inputs, width) => {
    const floor = lenses.edge_floor(inputs, width), c = inputs / width;
    const middle = (floor.mean + LOUDNESS * floor.sd) ** 2 / width - 1 - c;
    const growth = (middle + sqrt(max(middle ** 2 - 4 * c, 0))) / 2;
    return sqrt(growth * (2 + growth));
  };

  // ½ R² e^(−τ) (τ − 3/2 + 2 e^(−τ) − ½ e^(−2τ))
  lenses.clock_deviation = (R, time) => {
    const decay = exp(-time);
    return ((R ** 2) / 2) * decay * (time - 1.5 + 2 * decay - decay ** 2 / 2);
  };
  lenses.clock_signal = (R) => lenses.clock_deviation(R, CLOCK_PEAK);
  lenses.clock_alarm = (width) =>
    sqrt((LOUDNESS * CLOCK_FLOOR) / lenses.clock_deviation(1, CLOCK_PEAK)) * pow(width, -0.25);

  // D by the power laws between the points of a pilot, and beyond them; and the R of a D
  const alongPilot = (x, from, to) => {
    const logs = [from, to].map((values) => values.map(log)), at = log(x);
    const part = min(max(logs[0].filter((one) => one < at).length - 1, 0), from.length - 2);
    const slope = (logs[1][part + 1] - logs[1][part]) / (logs[0][part + 1] - logs[0][part]);
    return exp(logs[1][part] + slope * (at - logs[0][part]));
  };
  lenses.function_signal = (R) => alongPilot(R, ...FUNCTION_PILOT);
  lenses.function_alarm = (width, floor) =>
    alongPilot((LOUDNESS * floor) / sqrt(width), FUNCTION_PILOT[1], FUNCTION_PILOT[0]);

  // --------------------------------------------------------------------- draws

  // Normal numbers of a seed: mulberry32, and Box and Muller's transformation. They are not
  // those of the library, so what is drawn here is one more draw and not the same one.
  const draws = {};
  draws.normal = (seed) => {
    let state = trunc(seed) >>> 0, kept = null;
    const uniform = () => {
      state = (state + 0x6d2b79f5) >>> 0;
      let x = Math.imul(state ^ (state >>> 15), state | 1);
      x ^= x + Math.imul(x ^ (x >>> 7), x | 61);
      return ((x ^ (x >>> 14)) >>> 0) / 4294967296;
    };
    return () => {
      if (kept !== null) {
        const value = kept;
        kept = null;
        return value;
      }
      const radius = sqrt(-2 * log(1 - uniform())), angle = 2 * PI * uniform();
      kept = radius * sin(angle);
      return radius * cos(angle);
    };
  };

  window.lazyrich = { mechanisms, spectra, heavy_tails, conditioning, lenses, draws };
})();
