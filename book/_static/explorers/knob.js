// One network from lazy to rich, and where its four instruments ring.
"use strict";

(() => {
  const { lenses } = window.lazyrich;
  const { register, show, python, steps, ratios } = window.explorers;
  const RATIO = 4, FUNCTION_FLOOR = 1.084, PILOT = 16; // N = 4d; the function's constants at d = 16
  const { ERF, SINE_CORRELATION } = lenses;
  const RIDGE = (ERF.power + ERF.slope_power - 2 * ERF.slope ** 2) / (2 * ERF.slope ** 2);
  const R_RANGE = [0.01, 10], LEVELS = [0.05, 200];
  const powers = (low, high) => steps(low, high, high - low + 1).map((i) => 2 ** i);
  const WIDTHS = powers(5, 17);

  const richness = (gamma, n, d) => lenses.shrinkage(RATIO, RIDGE)
    * lenses.large_sample_richness(gamma, n, d, ERF.slope, SINE_CORRELATION);

  // What each lens is called, how loud it is, and where it rings.
  const LENSES = [
    {
      name: "angle", of: "angle between the layers", colour: "1", dash: "solid", shape: "circle",
      loud: (R, n) => lenses.alignment_signal(R) / lenses.alignment_floor(n),
      alarm: (n) => lenses.alignment_alarm(n),
    },
    {
      name: "kernel", of: "tangent kernel", colour: "2", dash: "dashed", shape: "square",
      loud: (R, n, d) => (lenses.kernel_signal(R, shares().trace) * Math.sqrt(n)) / floors(d).trace,
      alarm: (n, d) => lenses.growth_alarm(shares().trace, floors(d).trace, n),
    },
    {
      name: "spectrum", of: "spectrum of the weights", colour: "3", dash: "mixed", shape: "diamond",
      loud(R, n, d) {
        const floor = lenses.edge_floor(d, n), { height } = lenses.outlier_signal(R, d, n);
        return height > 1 ? (height * (Math.sqrt(n) + Math.sqrt(d)) - floor.mean) / floor.sd : null;
      },
      alarm: (n, d) => lenses.tail_alarm(d, n),
    },
    {
      name: "function", of: "learned function", colour: "4", dash: "dotted", shape: "triangle",
      loud: (R, n, d) => (d === PILOT ? (lenses.function_signal(R) * Math.sqrt(n)) / FUNCTION_FLOOR : null),
      alarm: (n, d) => (d === PILOT ? lenses.function_alarm(n, FUNCTION_FLOOR) : NaN),
    },
  ];
  const enumerate = (words) => {
    const those = words.map((word) => `the ${word}`);
    return [those.slice(0, -1).join(", "), those[those.length - 1]].filter(Boolean).join(" and ");
  };
  const shares = () => lenses.kernel_shares(ERF, RATIO, SINE_CORRELATION, 0);
  const floors = (d) => lenses.kernel_floors(ERF, RATIO, SINE_CORRELATION, d);

  register("knob", {
    controls: [
      { id: "gamma", label: "The knob <i>γ</i>", min: 0.01, max: 100, log: true, value: 2, small: true },
      { id: "width", label: "Width <i>n</i>", values: WIDTHS, value: 1024, small: true },
      { id: "inputs", label: "Inputs <i>d</i>", values: powers(2, 8), value: 16, small: true },
    ],
    plots: [
      {
        id: "signals", title: "How loud each lens is: its signal, over the scatter of lazy networks", height: 320,
        small: true, x: { label: "richness R, known before training", log: true }, y: { log: true },
      },
      {
        id: "map", title: "Where each rings: the knob γ, against the width", height: 320,
        x: { label: "width n", log: true, ticks: WIDTHS.filter((n, i) => i % 3 === 2) }, y: { log: true },
      },
    ],

    update({ gamma, width: n, inputs: d }) {
      const R = richness(gamma, n, d), perGamma = richness(1, n, d);
      const alarms = Object.fromEntries(LENSES.map((lens) => [lens.name, lens.alarm(n, d)]));
      const there = LENSES.filter((lens) => Number.isFinite(alarms[lens.name]))
        .sort((a, b) => alarms[a.name] - alarms[b.name]);
      const order = there.map((lens) => `${lens.name} (R = ${show(alarms[lens.name])})`).join(", ");
      const ring = there.filter((lens) => alarms[lens.name] <= R).map((lens) => lens.name);
      const now = ring.length === 0 ? "no lens sees it yet"
        : ring.length === there.length ? "every lens sees it" : `${enumerate(ring)} see${ring.length > 1 ? "" : "s"} it`;
      const summary = `At γ = ${show(gamma)}, n = ${n} and d = ${d} the network has a richness of `
        + `<b>R = ${show(R)}</b>: <b>${now}</b>. The alarms ring in the order ${order}.`
        + (d === PILOT ? "" : ` The function's law has constants that were measured at d = ${PILOT}, so it is not shown here.`);

      const range = [Math.min(R_RANGE[0], R / 2), Math.max(R_RANGE[1], 2 * R)];
      const x = ratios(...range, 200);
      const map = (lens) => WIDTHS.map((width) => {
        const at = lens.alarm(width, d) / richness(1, width, d);
        return Number.isFinite(at) ? at : null;
      });
      const known = LENSES.filter((lens) => d === PILOT || lens.name !== "function");
      const line = (lens, y) => ({ name: lens.of, y, colour: lens.colour, dash: lens.dash });

      const functionCode = d === PILOT ? `
    "function": lenses.function_alarm(n, ${FUNCTION_FLOOR}),` : "";
      const code = `import jax

jax.config.update("jax_enable_x64", True)

from lazyrich import lenses

gamma, n, d = ${python(gamma)}, ${n}, ${d}
erf = lenses.gaussian_moments(jax.scipy.special.erf)
ridge = (erf.output_nugget + erf.hidden_nugget) / (2 * erf.slope**2)
R = lenses.shrinkage(${RATIO}, ridge) * lenses.large_sample_richness(
    gamma, n, d, erf.slope, lenses.SINE_CORRELATION
)
shares = lenses.kernel_shares(erf, ${RATIO}, lenses.SINE_CORRELATION, 0.0)
floors = lenses.kernel_floors(erf, ${RATIO}, lenses.SINE_CORRELATION, d)
alarms = {
    "angle": lenses.alignment_alarm(n),
    "kernel": lenses.growth_alarm(shares.trace, floors.trace, n),
    "spectrum": lenses.tail_alarm(d, n),${functionCode}
}
print("R", R)
for name, alarm in sorted(alarms.items(), key=lambda pair: pair[1]):
    print(name, "rings" if alarm <= R else "is silent: it rings", "from R =", alarm)
`;
      return {
        summary, code,
        results: { R, alarms: Object.fromEntries(there.map((lens) => [lens.name, alarms[lens.name]])) },
        plots: {
          signals: {
            x, lines: known.map((lens) => line(lens, x.map((r) => lens.loud(r, n, d)))),
            points: there.map((lens) => ({
              x: [alarms[lens.name]], y: [2], colour: lens.colour, shape: lens.shape, size: 6, filled: false,
            })),
            marks: [
              { y: 2, dash: "dashed", label: "alarm" },
              { x: R, dash: "solid", label: "this network", low: true },
            ],
            range: { x: range, y: LEVELS },
          },
          map: {
            x: WIDTHS,
            lines: [
              ...known.map((lens) => line(lens, map(lens))),
              { name: "rich, R = 1", y: WIDTHS.map((width) => 1 / richness(1, width, d)), colour: "ink", width: 1 },
            ],
            points: [{ name: "this network", x: [n], y: [gamma], colour: "ink", shape: "circle", size: 6 }],
            range: { x: [WIDTHS[0] / 1.2, WIDTHS[WIDTHS.length - 1] * 1.2] },
          },
        },
      };
    },
  });
})();
