/* Accuracy against cost, with the Pareto front of what is shown. */
const AXES = {
  cost: { name: "Training cost relative to none (×)", best: "low", text: (v) => Number(v.toPrecision(3)) + "×" },
  params: { name: "Parameters", best: "low", text: quantity },
  macs: { name: "MACs of one forward pass", best: "low", text: quantity },
  fps: { name: "Images a second (FPS)", best: "high", text: quantity },
  memory: { name: "Peak memory (MiB)", best: "low", text: quantity },
};
/** What can stand on the vertical axis: its name, and 1 where higher is better, -1 where lower is. */
function heights() {
  const { axis, sign, differenceUnit } = board().metric;
  return { score: { name: axis, sign }, gain: { name: inUnit("Gain over none", differenceUnit), sign: 1 } };
}

function scatterPoints(x, y) {
  const alike = (other) =>
    other === board() || (other.dataset === board().dataset && other.protocol === board().protocol);
  const shown = byId("axis-all").checked ? boards.filter(alike) : [board()];
  const { scale } = board().metric;
  const points = [];
  for (const from of shown) {
    for (const row of from.rows) {
      const place = row.values[x];
      const height = y === "gain" && row.kind === "baseline" && row.values.score !== null ? 0 : row.values[y];
      if (place === null || height === null || (byId("axis-log").checked && place <= 0)) continue;
      const ends = row.intervals[y];
      points.push({
        row,
        x: place,
        y: scale * height,
        ends: ends ? ends.map((end) => scale * end) : null,
        own: from === board(),
        pair: from.pair,
      });
    }
  }
  return points;
}

/** The points that no other beats; `up` is 1 where a higher point is better, -1 where a lower one is. */
function paretoFront(points, best, up = 1) {
  const sign = best === "high" ? -1 : 1;
  const ranked = points.filter((p) => p.row.kind !== "teacher").sort((a, b) => sign * (a.x - b.x) || up * (b.y - a.y));
  const front = [];
  for (const point of ranked)
    if (!front.length || up * (point.y - front[front.length - 1].y) > 0) front.push(point);
  return front;
}

function pointShape(kind, x, y, attributes) {
  if (kind === "teacher")
    return svg("path", { ...attributes, d: `M${x} ${y - 8}L${x + 8} ${y}L${x} ${y + 8}L${x - 8} ${y}Z` });
  if (kind === "baseline") return svg("rect", { ...attributes, x: x - 6, y: y - 6, width: 12, height: 12 });
  return svg("circle", { ...attributes, cx: x, cy: y, r: 6.5 });
}

function axisOptions() {
  const has = (key) => board().rows.some((row) => row.values[key] !== null);
  const xs = Object.keys(AXES).filter(has);
  const ys = Object.keys(heights()).filter(has);
  options(
    byId("axis-x"),
    xs.map((key) => [key, AXES[key].name]),
    byId("axis-x").value,
  );
  options(
    byId("axis-y"),
    ys.map((key) => [key, heights()[key].name]),
    byId("axis-y").value,
  );
  const others = boards.filter(
    (other) => other !== board() && other.dataset === board().dataset && other.protocol === board().protocol,
  );
  byId("axis-all-label").hidden = !others.length;
}

function drawScatter() {
  const box = byId("scatter");
  const x = byId("axis-x").value;
  const y = byId("axis-y").value;
  const log = byId("axis-log").checked;
  const points = x && y ? scatterPoints(x, y) : [];
  if (!points.length) {
    box.replaceChildren(el("p", { class: "empty" }, "No method has both values: there is nothing to plot."));
    byId("scatter-note").replaceChildren();
    return;
  }
  const width = Math.max(box.clientWidth, 280);
  const height = width < 600 ? 360 : 460;
  const frame = { left: 56, right: width - 18, top: 14, bottom: height - 48 };
  const scale = (value) => (log ? Math.log10(value) : value);
  const [low, high] = range(
    points.map((p) => scale(p.x)),
    0.08,
  );
  const [bottom, top] = heightRange(points);
  const px = (value) => frame.left + ((scale(value) - low) / (high - low)) * (frame.right - frame.left);
  const py = (value) => frame.bottom - ((value - bottom) / (top - bottom)) * (frame.bottom - frame.top);
  const chart = svg("svg", {
    viewBox: `0 0 ${width} ${height}`,
    role: "group",
    "aria-label": `${heights()[y].name} against ${AXES[x].name}`,
  });
  drawAxes(chart, frame, { x, y, log, px, py, low, high, bottom, top });
  const up = heights()[y].sign;
  const front = paretoFront(points, AXES[x].best, up);
  if (front.length > 1) chart.append(svg("path", { class: "front", d: frontPath(front, px, py) }));
  for (const p of points) {
    if (p.ends)
      chart.append(
        svg("line", {
          class: "error",
          x1: px(p.x),
          x2: px(p.x),
          y1: py(Math.max(p.ends[0], bottom)),
          y2: py(Math.min(p.ends[1], top)),
        }),
      );
  }
  const labels = svg("g", {});
  const taken = [];
  // Those on the front are labelled first, and drawn last: they are what one looks for.
  const ordered = [...points].sort((a, b) => front.includes(a) - front.includes(b) || up * (a.y - b.y));
  for (const p of ordered) chart.append(scatterPoint(p, px(p.x), py(p.y), front.includes(p), heights()[y].name, AXES[x]));
  if (byId("axis-names").checked)
    for (const p of ordered.reverse())
      nameLabel(
        labels,
        p,
        px(p.x),
        py(p.y),
        frame,
        taken,
        points.map((q) => [px(q.x), py(q.y)]),
      );
  chart.append(labels);
  box.replaceChildren(chart);
  scatterNote(
    points,
    labels,
    points.some((p) => p.ends && (p.ends[0] < bottom || p.ends[1] > top)),
  );
}

/** The heights to show: all points, and intervals as long as they do not squeeze the points together. */
function heightRange(points) {
  const [low, high] = range(
    points.map((p) => p.y),
    0,
  );
  const reach = Math.max(high - low, board().metric.reach);
  const ends = points.flatMap((p) => p.ends || []).map((end) => Math.min(Math.max(end, low - reach), high + reach));
  return range([...points.map((p) => p.y), ...ends], 0.06);
}

function drawAxes(chart, frame, { x, y, log, px, py, low, high, bottom, top }) {
  const ends = log ? [10 ** low, 10 ** high] : [low, high];
  for (const value of ticks(...ends, frame.right > 600 ? 8 : 4, log)) {
    chart.append(svg("line", { class: "tick", x1: px(value), x2: px(value), y1: frame.top, y2: frame.bottom }));
    chart.append(svg("text", { x: px(value), y: frame.bottom + 18, "text-anchor": "middle" }, AXES[x].text(value)));
  }
  for (const value of ticks(bottom, top, 7, false)) {
    chart.append(
      svg("line", {
        class: value === 0 ? "zero" : "tick",
        x1: frame.left,
        x2: frame.right,
        y1: py(value),
        y2: py(value),
      }),
    );
    chart.append(
      svg(
        "text",
        { x: frame.left - 8, y: py(value) + 4, "text-anchor": "end" },
        String(Number(value.toFixed(4))).replace("-", MINUS),
      ),
    );
  }
  chart.append(
    svg(
      "text",
      { class: "axis-name", x: (frame.left + frame.right) / 2, y: frame.bottom + 40, "text-anchor": "middle" },
      AXES[x].name,
    ),
  );
  const middle = (frame.top + frame.bottom) / 2;
  chart.append(
    svg(
      "text",
      { class: "axis-name", x: 14, y: middle, "text-anchor": "middle", transform: `rotate(-90 14 ${middle})` },
      heights()[y].name,
    ),
  );
}

function frontPath(front, px, py) {
  return front.map((p, at) => (at ? `H${px(p.x)}V${py(p.y)}` : `M${px(p.x)} ${py(p.y)}`)).join("");
}

function scatterPoint(p, x, y, onFront, heightName, axis) {
  const { row } = p;
  const kinds = ["point", row.kind, onFront && "on-front", !p.own && "other", chosen === row.name && "chosen"].filter(
    Boolean,
  );
  const pick = () => p.own && choose(row.name, true);
  return pointShape(row.kind, x, y, {
    class: kinds.join(" "),
    tabindex: 0,
    role: "button",
    "data-name": p.own ? row.name : null,
    "aria-label": `${row.label}${p.own ? "" : `, ${p.pair}`}: ${heightName} ${fixed(p.y, board().metric.digits)}, ${axis.name} ${axis.text(p.x)}${onFront ? ", on the Pareto front" : ""}`,
    tip: {
      title: row.label,
      lines: [...(p.own ? [] : [["Pair", p.pair]]), ...row.tip, ...(onFront ? [["Pareto front", "yes"]] : [])],
    },
    onclick: pick,
    onkeydown: (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      pick();
    },
  });
}

/** Puts a name beside its point where no other name or point is in the way; others are told by their tooltip. */
function nameLabel(group, p, x, y, frame, taken, centres) {
  const text = short(p.row.label, 26);
  const width = 6.6 * text.length;
  for (const [dx, dy, anchor] of [
    [9, -8, "start"],
    [-9, -8, "end"],
    [10, 17, "start"],
    [-10, 17, "end"],
    [0, -13, "middle"],
    [0, 21, "middle"],
    [12, 4, "start"],
    [-12, 4, "end"],
  ]) {
    const left = x + dx - (anchor === "end" ? width : anchor === "middle" ? width / 2 : 0);
    const area = [left, y + dy - 11, left + width, y + dy + 3];
    const free =
      area[0] >= frame.left &&
      area[2] <= frame.right + 14 &&
      area[1] >= 0 &&
      area[3] <= frame.bottom &&
      !taken.some((o) => area[0] < o[2] && area[2] > o[0] && area[1] < o[3] && area[3] > o[1]) &&
      !centres.some(
        ([cx, cy]) =>
          (cx !== x || cy !== y) && cx + 7 > area[0] && cx - 7 < area[2] && cy + 7 > area[1] && cy - 7 < area[3],
      );
    if (!free) continue;
    taken.push(area);
    group.append(svg("text", { class: "label", x: x + dx, y: y + dy, "text-anchor": anchor }, text));
    return;
  }
}

function scatterNote(points, labels, cut) {
  const key = (kind, extra) =>
    svg(
      "svg",
      { viewBox: "0 0 22 18", "aria-hidden": "true" },
      pointShape(kind, 11, 9, { class: `point ${kind} ${extra}` }),
    );
  const entries = [
    el("li", {}, key("method", ""), "method"),
    el("li", {}, key("method", "on-front"), "on the Pareto front"),
  ];
  if (points.some((p) => p.row.kind === "baseline"))
    entries.push(el("li", {}, key("baseline", ""), "none, the baseline"));
  if (points.some((p) => p.row.kind === "teacher"))
    entries.push(el("li", {}, key("teacher", ""), "teacher, not part of the front"));
  if (points.some((p) => !p.own)) entries.push(el("li", {}, key("method", "other"), "pale: other pairs"));
  const hidden = points.length - labels.childElementCount;
  const words = [];
  if (points.some((p) => p.ends))
    words.push(`Vertical lines: 95 % intervals over the seeds${cut ? ", cut where they leave the plot" : ""}.`);
  if (byId("axis-names").checked && hidden) words.push(`${hidden} names have no room; the points tell them.`);
  words.push("A click on a point marks its row in the table.");
  byId("scatter-note").replaceChildren(el("ul", { class: "legend" }, ...entries), words.join(" "));
}

boardViews.push(() => {
  axisOptions();
  drawScatter();
});
for (const id of ["axis-x", "axis-y", "axis-log", "axis-names", "axis-all"])
  byId(id).addEventListener("change", drawScatter);
