// The condition number of deep linear networks, with and without skips, over their depth.
"use strict";

(() => {
  const { conditioning, draws } = window.lazyrich;
  const { register, show, python, steps } = window.explorers;
  const DEPTHS = steps(2, 12, 11);

  const widthAt = ({ width, widths }, L) => (widths === "fixed" ? width : Math.round((width * L) / 6));

  // Weights at the start, W_ij ~ N(0, 1/fan-in), with skips.
  const network = (settings, L) => {
    const normal = draws.normal(1000 * settings.draw + L), m = widthAt(settings, L);
    const sizes = [settings.inputs, ...new Array(L - 1).fill(m), settings.outputs];
    const weights = sizes.slice(1).map((rows, l) => {
      const columns = sizes[l], std = columns ** -0.5;
      return conditioning.matrix(rows, columns,
        Float64Array.from({ length: rows * columns }, () => std * normal()));
    });
    return conditioning.with_skips(weights, settings.skip);
  };

  register("conditioning", {
    controls: [
      { id: "depth", label: "Depth <i>L</i>", min: 2, max: 12, step: 1, value: 6, small: true },
      { id: "width", label: "Width <i>m</i>", values: [48, 64, 96, 128, 192, 256], value: 96, small: true },
      { id: "skip", label: "Strength <i>β</i> of the skips", min: 0, max: 2, step: 0.05, value: 0, small: true },
      { id: "widths", label: "Width at other depths", options: ["fixed", "growing"],
        names: { fixed: "the same at every depth", growing: "in proportion to it, m at L = 6" }, value: "fixed" },
      { id: "inputs", label: "Inputs <i>d</i>", min: 2, max: 14, step: 1, value: 12 },
      { id: "outputs", label: "Outputs <i>k</i>", min: 1, max: 10, step: 1, value: 4 },
      { id: "draw", label: "Draw", min: 0, max: 99, step: 1, value: 0 },
    ],
    plots: [{
      id: "depth", title: "Condition number κ of the Gauss-Newton matrix", height: 320, small: true,
      x: { label: "depth L, in layers", whole: true }, y: { log: true },
    }],

    * sample(settings) {
      const found = { kappa: [], bound: [] };
      for (const L of DEPTHS) {
        const weights = network(settings, L);
        found.kappa.push(conditioning.linear_condition_number(weights));
        found.bound.push(conditioning.linear_bounds(weights).ratio_of_sums);
        yield found;
      }
    },

    update(settings, samples = { kappa: [], bound: [] }, data, small) {
      const { depth: L, inputs: d, outputs: k, skip } = settings, m = widthAt(settings, L);
      const over = (law) => DEPTHS.map((depth) => {
        const value = law(d, widthAt(settings, depth), k, depth);
        return Number.isFinite(value) ? value : null;
      });
      const law = conditioning.finite_depth_law(d, m, k, L);
      const first_order = conditioning.depth_law(d, m, k, L);
      const bound = conditioning.finite_ratio_of_sums_law(d, m, k, L);
      const at = DEPTHS.indexOf(L), plain = skip === 0 ? "" : " without skips";

      const sampled = samples.kappa.length > at
        ? ` In this draw${skip ? ` with skips of strength ${show(skip)}` : ""} κ = <b>${show(samples.kappa[at])}</b>, `
          + `and the bound is ${show(samples.bound[at])}.` : "";
      const summary = `${L} layers of width ${m}, with ${d} inputs and ${k} output${k > 1 ? "s" : ""}: the law of depth gives `
        + `κ = <b>${show(law)}</b>${plain}, its first order ${show(first_order)}, and the bound by the ratio of `
        + `sums ${show(bound)}.${sampled}`;

      const code = `import jax

jax.config.update("jax_enable_x64", True)

from lazyrich import conditioning

inputs, width, outputs, depth = ${d}, ${m}, ${k}, ${L}
law = conditioning.finite_depth_law(inputs, width, outputs, depth)
first_order = conditioning.depth_law(inputs, width, outputs, depth)
bound = conditioning.finite_ratio_of_sums_law(inputs, width, outputs, depth)
print("law", law, "first order", first_order, "bound", bound)

widths = (inputs, *[width] * (depth - 1), outputs)
weights = conditioning.kaiming(jax.random.key(0), widths)  # a draw of its own
weights = conditioning.with_skips(weights, ${python(skip)})
kappa = conditioning.linear_condition_number(weights)
print("in a draw", kappa, "bound", conditioning.linear_bounds(weights).ratio_of_sums)
`;
      const shown = (values) => ({ x: DEPTHS.slice(0, values.length), y: values });
      return {
        summary, code,
        results: { law, first_order, bound },
        plots: {
          depth: {
            x: DEPTHS,
            lines: [
              { name: `law of depth${plain}`, y: over(conditioning.finite_depth_law), colour: "ink" },
              { name: `first order${plain}`, y: over(conditioning.depth_law), colour: "ink", dash: "dotted" },
              { name: `law of the bound${plain}`, y: over(conditioning.finite_ratio_of_sums_law), colour: "2", dash: "dashed" },
            ],
            points: [
              { name: "bound of a draw", ...shown(samples.bound), colour: "2", shape: "square", filled: false },
              { name: "κ of a draw", ...shown(samples.kappa), colour: "1", shape: "circle" },
            ],
            marks: [{ x: L, dash: "dotted", label: `L = ${L}`, low: true }],
            range: { x: [1.6, 12.4], y: [1, undefined] },
          },
        },
      };
    },
  });
})();
