// The exact solution of a linear network of two layers, from its start to its end.
"use strict";

(() => {
  const { mechanisms } = window.lazyrich, { register, show, percent, python, steps } = window.explorers;
  const names = Object.keys(mechanisms.SCHEMES);
  const PHASES = {
    "kernel": "kernel phase: the wider, the less the kernel moves",
    "kernel, turning": "kernel phase, but its output layer turns",
    "feature": "feature phase: the kernel moves at any width",
    "feature, plateau": "feature phase, after a plateau that grows with the width",
  };
  const SPEEDS = {
    unstable: "too fast for a step size of one",
    frozen: "slower the wider it is",
  };

  const describe = (phase) => {
    const speed = Object.keys(SPEEDS).find((one) => phase.endsWith(one));
    const name = speed ? phase.slice(0, -speed.length - 2) : phase;
    return PHASES[name] + (speed ? `; training is ${SPEEDS[speed]}` : "");
  };

  const solve = ({ scheme, width, start, target, rate_u, rate_w, draw }, data) => {
    const [u, v, cosine, sine] = data.starts[width][draw];
    let [s, layers] = mechanisms.at_width(mechanisms.SCHEMES[scheme], { u, v, cosine, sine }, width);
    layers = { ...layers, u: start * layers.u, v: start * layers.v };
    s = { ...s, y_star: target, eta_u: rate_u * s.eta_u, eta_w: rate_w * s.eta_w };
    const [first] = mechanisms.evolve(s, layers, [0]);
    const reach = (share) => mechanisms.time_to_reach(s, layers, first.output + share * (target - first.output));
    const speed = mechanisms.learning_speed(s, layers), half = reach(0.5), most = reach(0.99);
    const end = Number.isFinite(most) && most > 0 ? 1.25 * most : 6 / speed;
    const N_perp = mechanisms.invariants(s, layers).N_perp;
    const final = {
      cosine: mechanisms.cosine_law(target, N_perp), scale: Math.hypot(target, N_perp),
      kernel: mechanisms.kernel_law(s, target, mechanisms.invariants(s, layers).N),
    };
    const turned = mechanisms.turning_share([first.cosine, final.cosine], [first.scale, final.scale]);
    return { s, layers, first, final, half, end, speed, turned,
      change: mechanisms.kernel_change(s, layers) };
  };

  register("training", {
    controls: [
      { id: "scheme", label: "Parametrisation", options: names, value: "NTK", small: true },
      { id: "width", label: "Width <i>d</i>", values: steps(0, 12, 13).map((i) => 2 ** i), value: 64, small: true },
      { id: "start", label: "Scale of the start", min: 0.01, max: 10, log: true, value: 1, small: true },
      { id: "target", label: "Target <i>y</i>*", min: -5, max: 5, step: 0.1, value: 1 },
      { id: "rate_u", label: "Rate of the output layer, times", min: 0.01, max: 100, log: true, value: 1 },
      { id: "rate_w", label: "Rate of the input layer, times", min: 0.01, max: 100, log: true, value: 1 },
      { id: "draw", label: "Draw of the start", min: 0, max: 5, step: 1, value: 1 },
    ],
    plots: [
      { id: "output", title: "Output <i>F</i>, and its target", x: { label: "time" }, y: {} },
      { id: "kernel", title: "Kernel κ, over its last value", x: { label: "time" }, y: {} },
      { id: "angle", title: "The layers turn to each other", x: { label: "time" }, y: {} },
      { id: "all", title: "Output, kernel and angle in training", x: { label: "time" }, y: {}, small: "only" },
    ],

    update(settings, samples, data) {
      const found = solve(settings, data);
      const { s, layers, first, final, half, end, turned, change } = found;
      const x = steps(0, end, 240), states = mechanisms.evolve(s, layers, x);
      const of = (f) => states.map(f);
      const cosine = of((one) => one.cosine), share = of((one) => 1 - one.cosine ** 2);
      const kernel = of((one) => one.kernel / final.kernel);
      const level = (y) => ({ y, dash: "dashed" });
      const below = Math.min(...cosine, 0) < 0 ? -1.05 : 0;

      const { scheme, width, start, target, rate_u, rate_w, draw } = settings;
      const phase = mechanisms.phase(mechanisms.SCHEMES[scheme]);
      const learning = Number.isNaN(turned)
        ? "Its output passes zero or ends there, so its growth cannot be shared out between turning and rescaling."
        : `Of the change of ln|F|, <b>${percent(turned)}</b> is turning and ${percent(1 - turned)} is rescaling.`;
      const summary = `${scheme} is in the <b>${describe(phase)}</b>. Here the output goes from `
        + `${show(first.output)} to ${show(target)}, half of the way in a time of ${show(half)}. The tangent `
        + `kernel ends at <b>${show(1 + change)}</b> times its start, and the cosine between the layers goes `
        + `from ${show(first.cosine)} to <b>${show(final.cosine)}</b>. ${learning}`;

      const code = `import jax
import numpy as np

jax.config.update("jax_enable_x64", True)

from lazyrich import mechanisms

scheme = mechanisms.SCHEMES[${python(scheme)}]
u, v = np.random.default_rng(${draw}).normal(size=(2, ${width}))
setting, (u, v) = mechanisms.at_width(scheme, u, v)
u, v = ${python(start)} * u, ${python(start)} * v
setting = setting._replace(
    y_star=${python(target)},
    eta_u=${python(rate_u)} * setting.eta_u,
    eta_w=${python(rate_w)} * setting.eta_w,
)
states = mechanisms.evolve(setting, u, v, np.linspace(0, ${python(Number(end.toPrecision(4)))}, 9))
print("output", states.output.round(3), "cosine", states.cosine.round(3), sep="\\n")

first = mechanisms.state(setting, u, v)
final = mechanisms.state(setting, *mechanisms.fixed_point(setting, u, v))
half = mechanisms.time_to_reach(setting, u, v, (first.output + setting.y_star) / 2)
change = mechanisms.kernel_change(setting, u, v)
turned, _ = mechanisms.turning_share(
    np.array([first.cosine, final.cosine]), np.array([first.scale, final.scale])
)
phase = mechanisms.phase(scheme)
print("phase", phase, "half", half, "change", change, "turned", turned)
`;
      const solid = { colour: "1" }, dashed = { colour: "2", dash: "dashed" };
      return {
        summary, code,
        results: { half, change, turned, phase },
        plots: {
          output: {
            x, lines: [{ name: "output F", y: of((one) => one.output), ...solid }],
            marks: [level(target)], range: { x: [0, end] },
          },
          kernel: {
            x, lines: [{ name: "κ/κ(∞)", y: kernel, ...solid }],
            marks: [level(1)], range: { x: [0, end], y: [0, Math.max(1.1, 1.05 * Math.max(...kernel))] },
          },
          angle: {
            x, lines: [
              { name: "cos ζ between the layers", y: cosine, ...solid },
              { name: "share of turning, sin²ζ", y: share, ...dashed },
            ],
            range: { x: [0, end], y: [below, 1.05] },
          },
          all: {
            x, lines: [
              { name: "output F", y: of((one) => one.output), ...solid },
              { name: "kernel κ/κ(∞)", y: kernel, ...dashed },
              { name: "cos ζ", y: cosine, colour: "3", dash: "mixed" },
            ],
            marks: [level(1)], range: { x: [0, end] },
          },
        },
      };
    },
  });
})();
