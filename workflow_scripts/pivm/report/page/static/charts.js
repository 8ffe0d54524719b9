"use strict";
// Colours of lines where the page has none, told apart by the colour-blind (bright scheme of Paul Tol).
const METHODS = ["#4477aa", "#ee6677"];

/** Round numbers for an axis. */
function ticks(low, high, about = 5) {
  const rough = (high - low) / about || 1, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].find((factor) => factor * power >= rough) * power;
  const found = [];
  for (let at = Math.ceil(low / step) * step; at <= high + 1e-9 * step; at += step) found.push(at);
  return found;
}

const tick = (value) => String(Number(value.toPrecision(6)));

/**
 * Means with their intervals, one line for each method. Scores that have ends (0 to 1, per cent) are drawn from end to
 * end, and all others from 0 on, so that a small difference looks small.
 */
function dots(title, methods, values, metric, colours) {
  const width = 720, left = 150, right = 170, row = 30, height = row * methods.length + 46;
  const known = methods.filter((method) => values[method]);
  const end = metric.end ?? (Math.max(...known.flatMap((m) => values[m].filter((v) => v !== null)), 1e-9) * 1.05);
  const x = (value) => left + (width - left - right) * Math.max(0, Math.min(value, end)) / end;
  const chart = el("svg", { class: "chart", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label":
    `${title}: ${known.map((m) => `${m} ${number(values[m][0], metric.digits)}`).join(", ")}` });
  for (const at of ticks(0, end)) {
    chart.append(el("line", { class: "grid", x1: x(at), x2: x(at), y1: 6, y2: height - 40 }),
      el("text", { class: "tick", x: x(at), y: height - 22, "text-anchor": "middle" }, tick(at)));
  }
  chart.append(el("text", { class: "tick", x: left, y: height - 4 }, `${metric.title}, ${metric.better} is better`));
  methods.forEach((method, i) => {
    const y = 20 + row * i, colour = colours[method] ?? METHODS[0];
    chart.append(el("text", { x: left - 10, y: y + 4, "text-anchor": "end" }, method));
    if (!values[method]) {
      chart.append(el("text", { class: "tick", x: left + 6, y: y + 4 }, "not defined"));
      return;
    }
    const [mean, low, high] = values[method];
    if (low !== null) chart.append(el("line", { x1: x(low), x2: x(high), y1: y, y2: y, stroke: colour, "stroke-width": 2.5 }));
    chart.append(el("circle", { cx: x(mean), cy: y, r: 4.5, fill: colour }),
      el("text", { x: width - right + 10, y: y + 4 },
        number(mean, metric.digits) + (low === null ? "" : ` [${number(low, metric.digits)}, ${number(high, metric.digits)}]`)));
  });
  return chart;
}

/** Loss against steps, training as a full line, validation dashed. */
function curve(item) {
  const width = 720, height = 260, left = 56, bottom = 40;
  const values = [...item.loss, ...item.validation].filter((value) => value !== null && value > 0);
  const ends = [Math.log10(Math.min(...values)), Math.log10(Math.max(...values))];
  if (ends[1] - ends[0] < 0.3) { ends[0] -= 0.15; ends[1] += 0.15; }
  const last = item.steps[item.steps.length - 1];
  const x = (step) => left + (width - left - 16) * step / last;
  const y = (value) => 10 + (height - bottom - 10) * (ends[1] - Math.log10(value)) / (ends[1] - ends[0]);
  const chart = el("svg", { class: "chart", viewBox: `0 0 ${width} ${height}`, role: "img",
    "aria-label": `Loss of ${item.name}: ${tick(item.loss[0])} at first, ${tick(item.loss[item.loss.length - 1])} at step ${last}` });
  for (const at of ticks(0, last)) chart.append(el("text", { class: "tick", x: x(at), y: height - 22, "text-anchor": "middle" }, tick(at)));
  for (const power of ticks(ends[0], ends[1], 4)) {
    const value = 10 ** power;
    chart.append(el("line", { class: "grid", x1: left, x2: width - 16, y1: y(value), y2: y(value) }),
      el("text", { class: "tick", x: left - 8, y: y(value) + 4, "text-anchor": "end" }, String(Number(value.toPrecision(2)))));
  }
  chart.append(el("text", { class: "tick", x: left, y: height - 4 }, "step; loss on a logarithmic axis; full line: training, dashed: validation"));
  for (const [series, colour, dash] of [[item.loss, METHODS[0], null], [item.validation, METHODS[1], "6 4"]]) {
    const points = series.map((value, i) => [item.steps[i], value]).filter(([, value]) => value !== null && value > 0);
    if (!points.length) continue;
    const path = points.map(([step, value], i) => `${i ? "L" : "M"}${x(step).toFixed(1)} ${y(value).toFixed(1)}`).join("");
    chart.append(el("path", { d: path, fill: "none", stroke: colour, "stroke-width": 2, "stroke-dasharray": dash }));
  }
  return chart;
}
