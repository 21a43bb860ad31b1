// The outlier that one step of training makes in the spectrum of the weights.
"use strict";

(() => {
  const { heavy_tails, spectra, draws } = window.lazyrich;
  const { register, show, python, steps } = window.explorers;
  const STEPS = ["Adam", "GD"];

  const sizesOf = ({ inputs, shape, samples }) =>
    ({ inputs, hidden: Math.round(inputs / shape), samples: Math.max(1, Math.round(samples * inputs)) });

  // A draw of teacher, student and data, and the gradient of its loss at the start.
  const gradient = function* (sizes, noise, seed) {
    const { inputs: d, hidden: h, samples: n } = sizes, normal = draws.normal(seed + 1);
    const many = (count) => Float64Array.from({ length: count }, normal);
    const beta = many(d), W = many(h * d), a = many(h), G = new Float64Array(h * d);
    const length = Math.hypot(...beta);
    const slopes = new Float64Array(h);
    for (let i = 0; i < n; i++) {
      const x = many(d);
      let along = 0, output = 0;
      for (let j = 0; j < d; j++) along += (x[j] * beta[j]) / length;
      for (let k = 0; k < h; k++) {
        let z = 0;
        for (let j = 0; j < d; j++) z += W[k * d + j] * x[j];
        const unit = Math.tanh(z / Math.sqrt(d));
        output += (a[k] * unit) / Math.sqrt(h);
        slopes[k] = 1 - unit * unit;
      }
      const label = Math.max(along, 0) + Math.log1p(Math.exp(-Math.abs(along))) + noise * normal();
      const factor = (2 * (output - label)) / (n * Math.sqrt(h * d));
      for (let k = 0; k < h; k++) {
        const weight = factor * a[k] * slopes[k];
        for (let j = 0; j < d; j++) G[k * d + j] += weight * x[j];
      }
      if (i % 100 === 99) yield;
    }
    return { W, G };
  };

  const singularValues = (W, G, sizes, optimizer, rate) => {
    const { inputs: d, hidden: h } = sizes, S = new Float64Array(d * d), row = new Float64Array(d);
    for (let k = 0; k < h; k++) {
      for (let j = 0; j < d; j++) {
        const g = G[k * d + j];
        row[j] = W[k * d + j] - rate * (optimizer === "GD" ? g : Math.sign(g));
      }
      for (let i = 0; i < d; i++) {
        for (let j = 0; j <= i; j++) S[i * d + j] += row[i] * row[j];
      }
    }
    return Array.from(spectra.eigenvalues(S, d), (x) => Math.sqrt(Math.max(x, 0)));
  };

  const kept = new Map(); // the gradient is that of the start, whatever the rate

  register("spike", {
    controls: [
      { id: "optimizer", label: "Optimiser", options: STEPS, names: { GD: "gradient descent" }, value: "Adam", small: true },
      { id: "times", label: "Learning rate, over its threshold", min: 0, max: 6, step: 0.1, value: 2, small: true },
      { id: "shape", label: "Shape <i>c</i> = <i>d</i>/<i>h</i>", min: 0.2, max: 1, step: 0.05, value: 0.65, small: true },
      { id: "samples", label: "Samples <i>n</i>/<i>d</i>", min: 0.5, max: 4, step: 0.5, value: 2 },
      { id: "noise", label: "Noise of the labels <i>ρ</i>", min: 0, max: 2, step: 0.1, value: 0.3 },
      { id: "inputs", label: "Inputs <i>d</i>", min: 40, max: 120, step: 10, value: 100 },
      { id: "draw", label: "Draw", min: 0, max: 99, step: 1, value: 0 },
    ],
    plots: [{
      id: "spectrum", title: "Singular values after one step", height: 300, small: true,
      x: { label: "singular value, over the edge of the bulk" }, y: {},
    }],

    * sample({ optimizer, times, noise, draw, ...rest }) {
      const sizes = sizesOf(rest), name = JSON.stringify([sizes, noise, draw]);
      if (!kept.has(name)) {
        const found = yield* gradient(sizes, noise, draw);
        if (kept.size > 3) kept.delete(kept.keys().next().value);
        kept.set(name, found);
      }
      const { W, G } = kept.get(name);
      yield singularValues(W, G, sizes, optimizer, times * heavy_tails.threshold(optimizer, sizes, noise));
    },

    update(settings, samples) {
      const { optimizer, times, noise } = settings, sizes = sizesOf(settings);
      const { inputs: d, hidden: h, samples: n } = sizes, c = d / h;
      const threshold = heavy_tails.threshold(optimizer, sizes, noise), rate = times * threshold;
      const after = heavy_tails.update(optimizer, rate, sizes, noise);
      const spike = heavy_tails.spike_law(optimizer, rate, sizes, noise);
      const edge = Math.sqrt(after.variance) * (Math.sqrt(h) + Math.sqrt(d));
      const height = spike.sigma / edge, out = spike.right > 0;
      const aligned = heavy_tails.teacher_alignment(optimizer, rate, sizes, noise);

      // In units of the edge: x = s/(1 + √c) with s² of the law of Marchenko and Pastur.
      const unit = 1 + Math.sqrt(c);
      const low = Math.abs(1 - Math.sqrt(c)) / unit;
      const x = [...steps(low, 1, 160)];
      const density = x.map((one) =>
        2 * one * unit ** 2 * spectra.marchenko_pastur_density((one * unit) ** 2, c));
      const seen = samples?.map((sigma) => sigma / edge);
      const top = seen && seen[seen.length - 1];
      const last = Math.max(1.25, 1.08 * height, 1.08 * (top ?? 0));
      const bin = 1 / 20, count = Math.ceil(last / bin), heights = new Array(count).fill(0);
      seen?.forEach((one) => { heights[Math.min(Math.floor(one / bin), count - 1)] += 1 / (d * bin); });
      const most = Math.max(...density, ...heights);

      const mark = out ? [{ x: height, colour: "2", dash: "dashed", width: 2 }] : [];
      const words = optimizer === "GD" ? "gradient descent" : "Adam";
      const law = out
        ? `theory puts an outlier at <b>${show(height)}</b> edges; its vector has an overlap of `
          + `<b>${show(aligned)}</b> with the teacher`
        : "theory sees <b>no outlier</b>: the largest singular value stays at the edge";
      const sampled = top === undefined ? "" : ` In this draw the largest is at <b>${show(top)}</b>.`;
      const summary = `One step of ${words} at η = ${show(rate)}, where the threshold is η* = `
        + `${show(threshold)} (d = ${d} inputs, h = ${h} units, n = ${n} samples): ${law}.${sampled}`;

      const step = optimizer === "GD" ? "gradient" : "jnp.sign(gradient)";
      const code = `import jax
import jax.numpy as jnp

jax.config.update("jax_enable_x64", True)

from lazyrich import heavy_tails

sizes, noise = heavy_tails.Sizes(${d}, ${h}, ${n}), ${python(noise)}
threshold = heavy_tails.threshold(${python(optimizer)}, sizes, noise)
rate = ${python(times)} * threshold
after = heavy_tails.update(${python(optimizer)}, rate, sizes, noise)
edge = after.variance**0.5 * (sizes.hidden**0.5 + sizes.inputs**0.5)
height = heavy_tails.spike_law(${python(optimizer)}, rate, sizes, noise).sigma / edge
aligned = heavy_tails.teacher_alignment(${python(optimizer)}, rate, sizes, noise)
print("predicted", height, "overlap with the teacher", aligned)

problem = heavy_tails.draw(jax.random.key(0), sizes, noise)  # a draw of its own
gradient = heavy_tails.directions(problem).gradient
values = jnp.linalg.svd(problem.W - rate * ${step}, compute_uv=False)
print("in a draw", values[:3] / edge)
`;
      return {
        summary, code,
        results: { threshold, rate, height, aligned },
        plots: {
          spectrum: {
            x, lines: [{ name: "law of Marchenko and Pastur", y: density, colour: "ink" }],
            bars: seen && {
              name: "a draw", colour: "1", heights,
              edges: Array.from({ length: count + 1 }, (_, i) => i * bin),
            },
            points: [
              ...(out ? [{ name: "predicted outlier", x: [height], y: [0.06 * most], colour: "2", shape: "diamond", size: 6, filled: false }] : []),
              ...(seen ? [{ name: "largest of the draw", x: [top], y: [0.06 * most], colour: "1", shape: "circle", size: 4 }] : []),
            ],
            marks: mark, range: { x: [0, last], y: [0, 1.1 * most] },
          },
        },
      };
    },
  });
})();
