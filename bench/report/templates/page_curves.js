/* The score over the iterations: one small plot a method, on common axes, with the baseline behind it. */
function meanCurve(seeds) {
  const sums = new Map();
  for (const seed of seeds)
    for (const [iteration, score] of seed) sums.set(iteration, [...(sums.get(iteration) || []), score]);
  return [...sums]
    .filter(([, scores]) => scores.length === seeds.length)
    .map(([iteration, scores]) => [iteration, scores.reduce((a, b) => a + b, 0) / scores.length])
    .sort((p, q) => p[0] - q[0]);
}

function drawCurves() {
  const box = byId("curve-view");
  const curves = board().curves;
  if (!curves) {
    box.replaceChildren(el("p", { class: "empty" }, "No finished cell has a readable history."));
    return;
  }
  const points = curves.rows.flatMap((row) => row.seeds.flat());
  const last = points.reduce((most, point) => Math.max(most, point[0]), 1);
  const scores = points.map((point) => point[1]);
  const [low, high] = range(curves.teacher === null ? scores : [...scores, curves.teacher], 0.05);
  const baseline = curves.rows.find((row) => row.kind === "baseline");
  const reference = baseline ? meanCurve(baseline.seeds) : null;
  const plots = curves.rows.map((row) =>
    curvePlot(row, { last, low: scores.some((score) => score < 0) ? low : Math.max(low, 0), high, reference, teacher: curves.teacher }),
  );
  const words = ["Bold: mean over the seeds. Thin: each seed."];
  if (baseline) words.push("Grey: none.");
  if (curves.teacher !== null) words.push("Dashed: the teacher.");
  if (curves.n_left_out) words.push(`${curves.n_left_out} more methods are not drawn.`);
  box.replaceChildren(el("p", { class: "lead" }, words.join(" ")), el("div", { class: "multiples" }, ...plots));
}

function curvePlot(row, { last, low, high, reference, teacher }) {
  const width = 260;
  const height = 150;
  const frame = { left: 30, right: width - 6, top: 8, bottom: height - 22 };
  const px = (value) => frame.left + (value / last) * (frame.right - frame.left);
  const py = (value) => frame.bottom - ((value - low) / (high - low)) * (frame.bottom - frame.top);
  const line = (curve) =>
    curve.map(([x, y], at) => `${at ? "L" : "M"}${px(x).toFixed(1)} ${py(y).toFixed(1)}`).join("");
  const mean = meanCurve(row.seeds);
  const { header, unit, digits } = board().metric;
  const told = (value) => `${fixed(value, digits)} ${unit}`.trim();
  const end = mean.length ? mean[mean.length - 1] : null;
  const chart = svg("svg", {
    viewBox: `0 0 ${width} ${height}`,
    role: "img",
    tabindex: 0,
    "aria-label": `${row.label}: ${header} over ${last} iterations${end ? `, ${told(end[1])} at the end` : ""}`,
    tip: { title: row.label, lines: mean.slice(-6).map(([x, y]) => [`iteration ${x}`, told(y)]) },
  });
  for (const value of ticks(low, high, 3, false)) {
    chart.append(
      svg("line", { class: "tick", x1: frame.left, x2: frame.right, y1: py(value), y2: py(value) }),
      svg("text", { x: frame.left - 5, y: py(value) + 4, "text-anchor": "end" }, String(Number(value.toFixed(2)))),
    );
  }
  for (const value of [0, last])
    chart.append(svg("text", { x: px(value), y: height - 5, "text-anchor": value ? "end" : "start" }, quantity(value)));
  if (teacher !== null)
    chart.append(svg("line", { class: "level", x1: frame.left, x2: frame.right, y1: py(teacher), y2: py(teacher) }));
  if (reference && row.kind !== "baseline") chart.append(svg("path", { class: "curve reference", d: line(reference) }));
  if (row.seeds.length > 1)
    for (const seed of row.seeds) chart.append(svg("path", { class: "curve thin", d: line(seed) }));
  chart.append(svg("path", { class: row.kind === "baseline" ? "curve reference" : "curve", d: line(mean) }));
  return el(
    "figure",
    { class: "card" },
    el("figcaption", {}, el("span", {}, row.label), el("span", {}, end ? fixed(end[1], digits) : "")),
    chart,
  );
}

boardViews.push(drawCurves);
