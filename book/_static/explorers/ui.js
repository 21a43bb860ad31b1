// What all explorers share: controls, plots, the sentence below them, the link and the code.
//
// An explorer is registered by its name with
//   controls  a list of {id, label, kind, …}, those with `small` also in a chapter
//   plots     a list of {id, title, x, y}; those with `small` stand also in a chapter, or only there
//   update    (settings, samples, data) → {plots, summary, code, results}
//   sample    optional, a generator of what takes longer than a frame; what it yields comes to
//             update as `samples`
// and stands wherever the page has <div class="explorer" data-explorer="name">.
"use strict";

(() => {
  const registered = {};
  const LATE = 250; // ms after the last change until the sentence is said aloud

  // ------------------------------------------------------------------- numbers

  const superscript = (n) => String(n).replace(/[-\d]/g, (sign) => "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"["-0123456789".indexOf(sign)]);

  // A number with three digits, as a reader writes it.
  const show = (x, digits = 3) => {
    if (Number.isNaN(x)) return "undefined";
    if (!Number.isFinite(x)) return x > 0 ? "∞" : "−∞";
    if (x !== 0 && (Math.abs(x) < 1e-3 || Math.abs(x) >= 1e5)) {
      const [part, power] = x.toExponential(digits - 1).split("e");
      const factor = String(Number(part)).replace("-", "−");
      return `${factor === "1" ? "" : `${factor}×`}10${superscript(Number(power))}`;
    }
    return String(Number(x.toPrecision(digits))).replace("-", "−");
  };

  const percent = (x) => `${(100 * x).toFixed(1)} %`;

  const make = (tag, attributes = {}, ...children) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : value);
    }
    element.append(...children);
    return element;
  };

  // ------------------------------------------------------------------ controls

  const clamp = (x, low, high) => Math.min(Math.max(x, low), high);

  // A control has `values` in a list, or lies between `min` and `max` at equal steps or, with
  // `log`, at equal ratios; or it has `options` by name.
  const scaleOf = (control) => {
    const { values, min, max, step, log } = control;
    if (values) {
      const nearest = (x) => values.reduce((best, one, i) =>
        (Math.abs(one - x) < Math.abs(values[best] - x) ? i : best), 0);
      return {
        positions: values.length - 1, min: values[0], max: values[values.length - 1],
        at: (i) => values[i], position: nearest, allowed: (x) => values[nearest(x)],
      };
    }
    if (log) {
      const positions = Math.round(20 * Math.log10(max / min));
      return {
        positions, min, max,
        at: (i) => clamp(Number((min * (max / min) ** (i / positions)).toPrecision(2)), min, max),
        position: (x) => Math.round((positions * Math.log(x / min)) / Math.log(max / min)),
        allowed: (x) => clamp(x, min, max),
      };
    }
    const whole = Number.isInteger(step) && Number.isInteger(min);
    return {
      positions: Math.round((max - min) / step), min, max,
      at: (i) => Number((min + i * step).toPrecision(10)),
      position: (x) => Math.round((x - min) / step),
      allowed: (x) => clamp(whole ? Math.round(x) : x, min, max),
    };
  };

  const valid = (control, text) => {
    if (control.options) return control.options.includes(text) ? text : control.value;
    const number = text === "" || text === null ? NaN : Number(text);
    return Number.isFinite(number) ? scaleOf(control).allowed(number) : control.value;
  };

  // The row of a control; `set` shows a value in it.
  const row = (control, id, changed) => {
    const label = make("label", { for: id });
    label.innerHTML = control.label;
    const line = make("div", { class: "explorer-control" }, label);
    if (control.options) {
      const select = make("select", { id }, ...control.options.map((one) =>
        make("option", { value: one }, control.names?.[one] ?? one)));
      select.addEventListener("change", () => changed(select.value));
      line.append(select);
      return { line, set: (value) => { select.value = value; } };
    }
    const scale = scaleOf(control);
    const range = make("input", { type: "range", id, min: 0, max: scale.positions, step: 1 });
    const number = make("input", {
      type: "number", min: scale.min, max: scale.max, step: "any",
      inputmode: scale.min < 0 ? false : "decimal", "aria-label": `${label.textContent}, as a number`,
    });
    range.addEventListener("input", () => changed(scale.at(Number(range.value))));
    number.addEventListener("change", () => changed(valid(control, number.value)));
    line.append(range, number);
    return {
      line,
      set: (value) => {
        range.value = scale.position(value);
        range.setAttribute("aria-valuetext", show(value, 4));
        number.value = value;
      },
    };
  };

  // --------------------------------------------------------------------- plots

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const paint = (of) => colour(`--explorer-${of}`) || "#888";
  const DETAIL = [[1, [1, 2, 3, 5]], [2.2, [1, 2, 5]], [2.9, [1, 3]], [Infinity, [1]]];

  // Round numbers on a logarithmic axis, more of them on a short one.
  const decades = (low, high) => {
    const [, digits] = DETAIL.find(([most]) => Math.log10(high / low) <= most), found = [];
    for (let power = Math.floor(Math.log10(low)); 10 ** power <= high; power++) {
      found.push(...digits.map((digit) => Number(`${digit}e${power}`)));
    }
    return found.filter((x) => x >= low && x <= high);
  };

  const FONT = "12px system-ui, sans-serif";

  // How a line is dashed and a point is shaped, so that none depends on its colour alone.
  const DASHES = { solid: [], dashed: [9, 5], dotted: [2, 4], mixed: [10, 4, 2, 4] };

  const outline = {
    circle: (path, x, y, r) => path.arc(x, y, r, 0, 2 * Math.PI),
    square: (path, x, y, r) => path.rect(x - r, y - r, 2 * r, 2 * r),
    diamond: (path, x, y, r) => polygon(path, [[x, y - 1.3 * r], [x + 1.3 * r, y], [x, y + 1.3 * r], [x - 1.3 * r, y]]),
    triangle: (path, x, y, r) => polygon(path, [[x, y - 1.3 * r], [x + 1.2 * r, y + r], [x - 1.2 * r, y + r]]),
  };
  const polygon = (path, corners) => {
    corners.forEach(([x, y], i) => (i ? path.lineTo(x, y) : path.moveTo(x, y)));
    path.closePath();
  };

  const marker = (context, shape, x, y, r, stroke, filled) => {
    const path = new Path2D();
    outline[shape](path, x, y, r);
    context.lineWidth = r / 3;
    context.strokeStyle = stroke;
    context.fillStyle = filled ? stroke : paint("ground");
    context.fill(path);
    context.stroke(path);
  };

  // The swatch of a series in the key, as it is drawn.
  const swatch = (of) => {
    const size = window.devicePixelRatio || 1, canvas = make("canvas", { "aria-hidden": "true" });
    canvas.width = 30 * size;
    canvas.height = 14 * size;
    const context = canvas.getContext("2d");
    context.scale(size, size);
    if (of.bars) {
      context.fillStyle = paint(`${of.colour}-pale`);
      context.fillRect(4, 2, 22, 10);
    } else if (of.shape) {
      marker(context, of.shape, 15, 7, 4, paint(of.colour), of.filled ?? true);
    } else {
      context.strokeStyle = paint(of.colour);
      context.lineWidth = 2;
      context.setLineDash(DASHES[of.dash ?? "solid"]);
      context.beginPath();
      context.moveTo(1, 7);
      context.lineTo(29, 7);
      context.stroke();
    }
    return canvas;
  };

  const extent = (values, log) => {
    const seen = values.filter((x) => Number.isFinite(x) && (!log || x > 0));
    if (!seen.length) return log ? [0.1, 10] : [0, 1];
    return [Math.min(...seen), Math.max(...seen)];
  };

  const padded = ([low, high], log) => {
    if (log) {
      const room = low === high ? 1.5 : (high / low) ** 0.05;
      return [low / room, high * room];
    }
    const room = low === high ? Math.abs(low) / 10 || 1 : (high - low) * 0.06;
    return [low - room, high + room];
  };

  class Plot {
    constructor(spec, place) {
      this.spec = spec;
      this.shown = { x: [0, 1], lines: [] };
      this.picture = make("div", { class: "explorer-picture", role: "img" });
      this.key = make("ul", { class: "explorer-key" });
      const title = make("figcaption", { class: "explorer-title" });
      title.innerHTML = spec.title;
      place.append(make("figure", { class: "explorer-plot" }, title, this.picture, this.key));
      this.picture.setAttribute("aria-label",
        `Plot: ${title.textContent} against ${spec.x.label}. The sentence below says what it shows.`);
      new ResizeObserver(() => this.resize()).observe(this.picture);
    }

    build(width) {
      const { spec } = this;
      const ink = () => paint("ink"), rule = { stroke: () => paint("rule"), width: 1 };
      const scale = (axis) => ({
        time: false, distr: spec[axis].log ? 3 : 1, range: () => this.range[axis],
      });
      const axis = (name) => ({
        stroke: ink, grid: rule, ticks: { ...rule, size: 4 }, font: FONT, labelFont: FONT,
        values: (u, splits) => splits.map((x) => show(x, 6)),
        ...(spec[name].whole && { incrs: [1, 2, 5] }),
        ...(spec[name].log && {
          splits: (u, at, low, high) => spec[name].ticks ?? decades(low, high),
          filter: (u, splits) => splits,
        }),
        ...(name === "x"
          ? { label: spec.x.label, labelSize: 20, size: 30, space: spec.x.log ? 42 : 48 }
          : { size: 52, space: spec.y.log ? 26 : 34 }),
      });
      this.plot = new uPlot({
        width, height: spec.height ?? 250, pxAlign: 0, legend: { show: false }, cursor: { show: false },
        scales: { x: scale("x"), y: scale("y") }, axes: [axis("x"), axis("y")],
        padding: [10, 14, 0, 0],
        series: [{}, ...this.shown.lines.map((line) => ({
          stroke: () => paint(line.colour), width: line.width ?? 2,
          dash: DASHES[line.dash ?? "solid"], points: { show: false }, spanGaps: false,
        }))],
        hooks: { drawAxes: [(u) => this.behind(u)], draw: [(u) => this.above(u)] },
      }, this.data(), this.picture);
    }

    data() {
      return [this.shown.x, ...this.shown.lines.map((line) => line.y)];
    }

    update(shown) {
      const same = this.plot && shown.lines.length === this.shown.lines.length;
      this.shown = shown;
      const points = shown.points ?? [], { spec } = this;
      const all = (axis) => [
        ...(axis === "x" ? shown.x : shown.lines.flatMap((line) => line.y)),
        ...points.flatMap((one) => one[axis]),
      ];
      this.range = Object.fromEntries(["x", "y"].map((axis) => {
        const { log } = spec[axis], found = padded(extent(all(axis), log), log);
        const fixed = shown.range?.[axis] ?? [];
        return [axis, [fixed[0] ?? found[0], fixed[1] ?? found[1]]];
      }));
      if (same) {
        this.plot.batch(() => {
          this.plot.setData(this.data(), false);
          for (const axis of ["x", "y"]) {
            const [min, max] = this.range[axis];
            this.plot.setScale(axis, { min, max });
          }
        });
      } else {
        this.rebuild();
      }
      this.legend();
    }

    rebuild() {
      this.plot?.destroy();
      this.plot = undefined;
      const width = this.picture.clientWidth;
      if (width > 0 && this.range) this.build(width);
    }

    resize() {
      const width = this.picture.clientWidth;
      if (this.plot && width > 0) this.plot.setSize({ width, height: this.spec.height ?? 250 });
      else this.rebuild();
    }

    // In the colours of the theme that is on.
    repaint() {
      this.plot?.redraw(false, true);
      this.legend();
    }

    legend() {
      const entries = [...this.shown.lines, ...(this.shown.bars ? [{ ...this.shown.bars, bars: true }] : []),
        ...(this.shown.points ?? [])].filter((one) => one.name);
      this.key.replaceChildren(...entries.map((one) => make("li", {}, swatch(one), one.name)));
    }

    // Bars and rules, below the lines.
    behind(u) {
      const { ctx } = u, { left, top, width, height } = u.bbox;
      const at = (x, axis) => u.valToPos(x, axis, true);
      ctx.save();
      ctx.beginPath();
      ctx.rect(left, top, width, height);
      ctx.clip();
      if (this.shown.bars) {
        const { edges, heights, colour: of } = this.shown.bars;
        ctx.fillStyle = paint(`${of}-pale`);
        heights.forEach((high, i) => {
          const from = at(edges[i], "x"), to = at(edges[i + 1], "x"), up = at(high, "y");
          ctx.fillRect(from, up, Math.max(to - from - uPlot.pxRatio, 1), at(0, "y") - up);
        });
      }
      for (const mark of this.shown.marks ?? []) {
        ctx.strokeStyle = paint(mark.colour ?? "ink");
        ctx.lineWidth = (mark.width ?? 1.2) * uPlot.pxRatio;
        ctx.setLineDash(DASHES[mark.dash ?? "dashed"].map((x) => x * uPlot.pxRatio));
        ctx.beginPath();
        const across = mark.y !== undefined, where = at(across ? mark.y : mark.x, across ? "y" : "x");
        ctx.moveTo(across ? left : where, across ? where : top);
        ctx.lineTo(across ? left + width : where, across ? where : top + height);
        ctx.stroke();
      }
      ctx.restore();
    }

    // Points and words, above them.
    above(u) {
      const { ctx } = u, ratio = uPlot.pxRatio, { left, top, width, height } = u.bbox;
      ctx.save();
      ctx.beginPath();
      ctx.rect(left - 8 * ratio, top - 8 * ratio, width + 16 * ratio, height + 16 * ratio);
      ctx.clip();
      ctx.setLineDash([]); // which uPlot leaves as the last line had it
      ctx.textAlign = "left";
      ctx.textBaseline = "alphabetic";
      for (const one of this.shown.points ?? []) {
        one.x.forEach((x, i) => {
          if (Number.isFinite(x) && Number.isFinite(one.y[i])) {
            marker(ctx, one.shape, u.valToPos(x, "x", true), u.valToPos(one.y[i], "y", true),
              (one.size ?? 4) * ratio, paint(one.colour), one.filled ?? true);
          }
        });
      }
      ctx.font = `${12 * ratio}px system-ui, sans-serif`;
      for (const mark of this.shown.marks ?? []) {
        if (!mark.label) continue;
        ctx.fillStyle = paint(mark.colour ?? "ink");
        const across = mark.y !== undefined, room = ctx.measureText(mark.label).width;
        if (across) {
          const y = u.valToPos(mark.y, "y", true) - 5 * ratio;
          ctx.fillText(mark.label, left + 6 * ratio, y);
        } else {
          const x = u.valToPos(mark.x, "x", true), free = left + width - x > room + 8 * ratio;
          const y = top + (mark.low ? height - 8 * ratio : 14 * ratio);
          ctx.fillText(mark.label, free ? x + 5 * ratio : x - room - 5 * ratio, y);
        }
      }
      ctx.restore();
    }
  }

  // ----------------------------------------------------------------- explorers

  class Explorer {
    constructor(element, number) {
      this.element = element;
      this.name = element.dataset.explorer;
      this.small = element.hasAttribute("data-small");
      this.spec = registered[this.name];
      this.data = JSON.parse(element.querySelector("script[type='application/json']")?.textContent || "null");
      this.controls = this.spec.controls;
      this.settings = this.defaults();
      element.querySelectorAll(".explorer-waiting").forEach((one) => one.remove());

      const form = make("form", { class: "explorer-controls", "aria-label": "Settings" });
      form.addEventListener("submit", (event) => event.preventDefault());
      this.rows = {};
      for (const control of this.controls) {
        if (this.small && !control.small) continue;
        const id = `explorer-${number}-${control.id}`;
        this.rows[control.id] = row(control, id, (value) => this.change({ [control.id]: value }));
        form.append(this.rows[control.id].line);
      }
      const plots = make("div", { class: "explorer-plots" });
      this.summary = make("p", { class: "explorer-summary", role: "status" });
      this.said = make("span", { class: "explorer-said", role: "status" });
      this.code = make("code");
      const block = make("pre", { tabindex: "0", "aria-label": "Python code" }, this.code);
      element.append(form, plots, this.summary, this.buttons(), make("details", { class: "explorer-code" },
        make("summary", {}, "The code for this"), block,
        this.button("Copy the code", () => this.copy(this.code.textContent, "The code is copied."))));
      this.plots = {};
      for (const plot of this.spec.plots) {
        if (this.small ? plot.small : plot.small !== "only") this.plots[plot.id] = new Plot(plot, plots);
      }
      plots.dataset.count = Object.keys(this.plots).length;
      if (!this.small) {
        this.read();
        window.addEventListener("hashchange", () => { this.read(); this.change({}, false); });
      }
      new MutationObserver(() => Object.values(this.plots).forEach((plot) => plot.repaint()))
        .observe(document.documentElement, { attributeFilter: ["data-theme"] });
      this.change({}, false);
    }

    defaults() {
      return Object.fromEntries(this.controls.map(({ id, value }) => [id, value]));
    }

    button(text, act) {
      const button = make("button", { type: "button", class: "explorer-button" }, text);
      button.addEventListener("click", act);
      return button;
    }

    buttons() {
      const reset = this.button("Reset", () => {
        this.change(this.defaults());
        this.say("All settings are as at the start.");
      });
      const line = make("p", { class: "explorer-buttons" }, reset);
      if (this.small) {
        this.link = make("a", { class: "explorer-more" }, "All its controls");
        line.append(this.link);
      } else {
        line.append(this.button("Copy link", () => this.copy(this.address(), "The link is copied.")));
      }
      line.append(this.said);
      return line;
    }

    say(words) {
      this.said.textContent = words;
      clearTimeout(this.silence);
      this.silence = setTimeout(() => { this.said.textContent = ""; }, 4000);
    }

    // Pages opened from a file have no clipboard in some browsers; selected text can be copied in all.
    async copy(text, words) {
      try {
        await navigator.clipboard.writeText(text);
      } catch {
        const field = make("textarea", { class: "explorer-hidden", "aria-hidden": "true", tabindex: "-1" });
        field.value = text;
        this.element.append(field);
        field.select();
        document.execCommand("copy");
        field.remove();
      }
      this.say(words);
    }

    // What differs from the start stands in the hash of the address.
    hash() {
      const start = this.defaults();
      const changed = Object.entries(this.settings).filter(([id, value]) => value !== start[id]);
      return new URLSearchParams(changed.map(([id, value]) => [id, String(value)])).toString();
    }

    address(page = location.href.split("#")[0]) {
      const hash = this.hash();
      return hash ? `${page}#${hash}` : page;
    }

    read() {
      const given = new URLSearchParams(location.hash.slice(1));
      this.settings = this.defaults();
      for (const control of this.controls) {
        if (given.has(control.id)) this.settings[control.id] = valid(control, given.get(control.id));
      }
    }

    change(changed, write = true) {
      Object.assign(this.settings, changed);
      for (const [id, { set }] of Object.entries(this.rows)) set(this.settings[id]);
      this.samples = undefined;
      if (!this.asked) {
        this.asked = true;
        requestAnimationFrame(() => { this.asked = false; this.draw(); this.resample(); });
      }
      if (this.small) this.link.href = this.address(`explore_${this.name}.html`);
      clearTimeout(this.late);
      this.late = setTimeout(() => {
        if (write && !this.small) history.replaceState(null, "", this.address());
        this.tell();
      }, LATE);
    }

    draw() {
      const shown = this.shown = this.spec.update(this.settings, this.samples, this.data, this.small);
      for (const [id, plot] of Object.entries(this.plots)) plot.update(shown.plots[id]);
      this.code.textContent = shown.code;
      this.element.results = shown.results;
    }

    tell() {
      if (this.busy || !this.shown) return;
      this.summary.innerHTML = this.shown.summary;
      this.element.dataset.settled = JSON.stringify(this.settings);
    }

    // What takes longer than a frame comes in pieces, and stops where a setting changes.
    resample() {
      clearTimeout(this.turn);
      this.busy = Boolean(this.spec.sample);
      if (!this.busy) return;
      const pieces = this.spec.sample({ ...this.settings }, this.small);
      const next = () => {
        const { value, done } = pieces.next();
        if (value !== undefined) {
          this.samples = value;
          this.draw();
        }
        if (!done) {
          this.turn = setTimeout(next);
          return;
        }
        this.busy = false;
        clearTimeout(this.late2);
        this.late2 = setTimeout(() => this.tell(), LATE);
      };
      this.turn = setTimeout(next, 30);
    }
  }

  const python = (x) => (typeof x === "string" ? JSON.stringify(x) : String(x));

  // At equal steps, and at equal ratios.
  const steps = (low, high, count) =>
    Array.from({ length: count }, (_, i) => low + ((high - low) * i) / (count - 1));
  const ratios = (low, high, count) => steps(Math.log(low), Math.log(high), count).map(Math.exp);

  window.explorers = {
    register: (name, spec) => { registered[name] = spec; },
    registered, show, percent, python, steps, ratios,
  };

  const start = () => document.querySelectorAll("div.explorer[data-explorer]").forEach((element, i) => {
    if (registered[element.dataset.explorer]) new Explorer(element, i);
  });
  document.addEventListener("DOMContentLoaded", start); // when all have registered
})();
