/* Two methods image by image. */
const MOST_LISTED = 10;

function imageOptions() {
  const found = board().images;
  const labels = found ? found.labels : [];
  const entries = labels.map((label) => [label, label]);
  const none = board().rows.find((row) => row.kind === "baseline");
  const second = none && labels.includes(none.name) ? none.name : labels[0];
  options(
    byId("image-a"),
    entries,
    labels.includes(byId("image-a").value) ? byId("image-a").value : labels.find((label) => label !== second),
  );
  options(byId("image-b"), entries, labels.includes(byId("image-b").value) ? byId("image-b").value : second);
}

function imageDifferences() {
  const { labels, values, names } = board().images;
  const first = values[labels.indexOf(byId("image-a").value)];
  const second = values[labels.indexOf(byId("image-b").value)];
  const found = [];
  first.forEach((value, at) => {
    if (value === null || second[at] === null) return;
    const by = board().metric.sign * (value - second[at]);
    found.push({ name: names[at] || `image ${at + 1}`, a: value, b: second[at], by });
  });
  return found.sort((p, q) => q.by - p.by);
}

function drawImages() {
  const box = byId("image-view");
  box.previousElementSibling.hidden = !board().images || board().images.labels.length < 2;
  if (!board().images || board().images.labels.length < 2) {
    box.replaceChildren(
      el(
        "p",
        { class: "empty" },
        "Scores of single images need the records of two finished methods; this table has none.",
      ),
    );
    return;
  }
  const a = byId("image-a").value;
  const b = byId("image-b").value;
  const { header, sign, digits, differenceUnit: unit } = board().metric;
  const [more, less] = sign < 0 ? [b, a] : [a, b];
  const found = imageDifferences();
  const better = found.filter((image) => image.by > 0).length;
  const worse = found.filter((image) => image.by < 0).length;
  const mean = found.reduce((sum, image) => sum + image.by, 0) / (found.length || 1);
  const { n_images: total, n_methods_left_out: leftOut } = board().images;
  const about = `${short(a, 60)} is better on ${better} images, worse on ${worse}, equal on ${found.length - better - worse}; mean difference ${`${signed(mean, digits)} ${unit}`.trim()}.`;
  const bars = differenceBars(found, about);
  box.replaceChildren(
    el(
      "p",
      { class: "lead" },
      about,
      found.length < total ? ` ${found.length} of ${total} images.` : "",
      leftOut ? ` ${leftOut} more methods are not shown.` : "",
    ),
    el(
      "figure",
      { class: "card" },
      bars,
      el(
        "figcaption",
        {},
        `${header} of each image, ${short(more, 40)} minus ${short(less, 40)}${unit && `, in ${unit}`}, from the most improved to the worst. Move over the bars, or focus the plot and use the arrow keys.`,
      ),
    ),
    el(
      "div",
      { class: "two" },
      imageList(
        "Most improved",
        found.slice(0, MOST_LISTED).filter((image) => image.by > 0),
        a,
        b,
      ),
      imageList(
        "Most worsened",
        found
          .slice(-MOST_LISTED)
          .reverse()
          .filter((image) => image.by < 0),
        a,
        b,
      ),
    ),
  );
}

function differenceBars(found, about) {
  const width = Math.max(byId("image-view").clientWidth - 28, 260);
  const height = 240;
  const left = 44;
  const [low, high] = range([0, ...found.map((image) => image.by)], 0.04);
  const py = (value) => 10 + ((high - value) / (high - low)) * (height - 20);
  const step = (width - left) / (found.length || 1);
  const gap = step > 4 ? 1 : 0;
  const path = (chosenOnes) =>
    found
      .map((image, at) =>
        chosenOnes(image) ? `M${left + at * step} ${py(0)}h${step - gap}V${py(image.by)}h${-(step - gap)}Z` : "",
      )
      .join("");
  const chart = svg("svg", {
    viewBox: `0 0 ${width} ${height}`,
    class: "bars",
    tabindex: 0,
    role: "img",
    "aria-label": about,
  });
  for (const value of ticks(low, high, 5, false)) {
    chart.append(
      svg("line", { class: value === 0 ? "zero" : "tick", x1: left, x2: width, y1: py(value), y2: py(value) }),
    );
    chart.append(
      svg(
        "text",
        { x: left - 6, y: py(value) + 4, "text-anchor": "end" },
        String(Number(value.toFixed(3))).replace("-", MINUS),
      ),
    );
  }
  chart.append(
    svg("path", { class: "gain", d: path((image) => image.by > 0) }),
    svg("path", { class: "loss", d: path((image) => image.by < 0) }),
  );
  const cursor = svg("line", { class: "cursor", y1: 4, y2: height - 4, visibility: "hidden" });
  chart.append(cursor);
  let at = -1;
  const point = (place) => {
    if (!found.length) return;
    at = Math.min(Math.max(place, 0), found.length - 1);
    const x = left + (at + 0.5) * step;
    cursor.setAttribute("x1", x);
    cursor.setAttribute("x2", x);
    cursor.setAttribute("visibility", "visible");
    const area = chart.getBoundingClientRect();
    const px = area.left + (x / width) * area.width;
    const image = found[at];
    const { digits } = board().metric;
    showTip(
      chart,
      {
        title: image.name,
        lines: [
          ["Difference", signed(image.by, digits)],
          [short(byId("image-a").value, 30), fixed(image.a, digits)],
          [short(byId("image-b").value, 30), fixed(image.b, digits)],
          ["Place", `${at + 1} of ${found.length}`],
        ],
      },
      { left: px, width: 0, top: area.top, bottom: area.top + area.height / 2 },
    );
  };
  chart.addEventListener("pointermove", (event) => {
    const area = chart.getBoundingClientRect();
    point(Math.floor((((event.clientX - area.left) / area.width) * width - left) / step));
  });
  chart.addEventListener("pointerleave", () => cursor.setAttribute("visibility", "hidden"));
  chart.addEventListener("keydown", (event) => {
    const moves = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: found.length - 1 };
    if (!(event.key in moves)) return;
    event.preventDefault();
    point(moves[event.key]);
  });
  return chart;
}

function imageList(title, images, a, b) {
  const { digits, differenceUnit: unit } = board().metric;
  const rows = images.map((image) =>
    el(
      "tr",
      {},
      el("th", { scope: "row" }, short(image.name, 60)),
      el("td", { class: "num" }, fixed(image.a, brief(digits))),
      el("td", { class: "num" }, fixed(image.b, brief(digits))),
      el("td", { class: "num" }, signed(image.by, brief(digits))),
    ),
  );
  const head = el(
    "tr",
    {},
    el("th", { scope: "col" }, "Image"),
    el("th", { scope: "col", class: "num" }, short(a, 18)),
    el("th", { scope: "col", class: "num" }, short(b, 18)),
    el("th", { scope: "col", class: "num" }, inUnit("Difference", unit)),
  );
  const table = images.length
    ? el(
        "div",
        { class: "scroll", tabindex: 0, role: "region", "aria-label": title },
        el("table", { class: "plain" }, el("thead", {}, head), el("tbody", {}, ...rows)),
      )
    : el("p", { class: "empty" }, "None.");
  return el("div", {}, el("h4", {}, title), table);
}

for (const id of ["image-a", "image-b"]) byId(id).addEventListener("change", drawImages);
boardViews.push(() => {
  imageOptions();
  drawImages();
});
