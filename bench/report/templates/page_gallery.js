/* Pictures with a slider between two of their panels. */
const KINDS = { best: "best", worst: "worst", improved: "most improved" };
const picks = { image: 0, left: null, right: null, errors: false, share: 50 };

/** A picture of few pixels is shown as pixels, not blurred. */
const picture = (place, attributes) =>
  el("img", {
    src: gallery.pictures[place],
    decoding: "async",
    onload: (event) => event.target.classList.toggle("tiny", event.target.naturalWidth < 200),
    ...attributes,
  });

const panelName = (label) => ({ truth: "ground truth" })[label] || label;

function drawGallery() {
  const box = byId("gallery-view");
  const own = gallery && gallery.boards.find((entry) => entry.board === board().title);
  if (!own) {
    box.replaceChildren(
      el(
        "p",
        { class: "empty" },
        gallery ? "The gallery has no pictures of this table." : "The run's folder holds no gallery.",
      ),
    );
    return;
  }
  picks.image = 0;
  const thumbs = own.images.map((image, at) => {
    const first = image.panels.find((panel) => panel.label === "image") || image.panels[0];
    return el(
      "button",
      {
        type: "button",
        class: "thumb",
        "aria-pressed": "false",
        tip: image.why || image.name,
        onclick: () => {
          picks.image = at;
          drawStage(own);
        },
      },
      picture(first.file, { alt: "", loading: "lazy" }),
      el("span", {}, image.name),
      el("span", { class: "quiet" }, KINDS[image.kind] || image.kind),
    );
  });
  box.replaceChildren(
    el("div", { class: "thumbs", role: "group", "aria-label": "Images of the gallery" }, ...thumbs),
    el("div", { id: "stage" }),
  );
  drawStage(own);
}

function drawStage(own) {
  const image = own.images[picks.image];
  byId("gallery-view")
    .querySelectorAll(".thumb")
    .forEach((thumb, at) => thumb.setAttribute("aria-pressed", String(at === picks.image)));
  const labels = image.panels.map((panel) => panel.label);
  const kept = (label, otherwise) => (labels.includes(label) ? label : otherwise);
  const best = board().rows.find((row) => row.kind === "method" && labels.includes(row.name));
  picks.left = kept(picks.left, kept("none", kept("truth", labels[0])));
  picks.right = kept(picks.right, best ? best.name : labels[labels.length - 1]);
  const entries = labels.map((label) => [label, panelName(label)]);
  const side = (key) => {
    const select = el("select", {
      id: `panel-${key}`,
      onchange: () => {
        picks[key] = select.value;
        drawPanels(image);
      },
    });
    options(select, entries, picks[key]);
    return select;
  };
  const slider = el("input", {
    type: "range",
    class: "slider",
    id: "gallery-slider",
    min: 0,
    max: 100,
    value: picks.share,
    "aria-label": "Share of the left picture",
    oninput: () => {
      picks.share = Number(slider.value);
      place();
    },
  });
  const errors = el("input", {
    type: "checkbox",
    id: "gallery-errors",
    onchange: () => {
      picks.errors = errors.checked;
      drawPanels(image);
    },
  });
  errors.checked = picks.errors;
  const hasErrors = image.panels.some((panel) => panel.error !== null);
  byId("stage").replaceChildren(
    el(
      "div",
      { class: "tools" },
      el("label", { class: "field" }, el("span", {}, "Left"), side("left")),
      el("label", { class: "field" }, el("span", {}, "Right"), side("right")),
      hasErrors ? el("label", { class: "check" }, errors, " error maps") : null,
    ),
    el(
      "div",
      { class: "stage" },
      el("div", {}, el("div", { class: "compare", id: "compare" }), slider),
      imageFacts(image, own.legend),
    ),
  );
  drawPanels(image);
}

function imageFacts(image, legend) {
  const { header, unit, sign, scale, digits } = board().metric;
  const scores = Object.entries(image.scores).sort((p, q) => sign * (q[1] - p[1]));
  return el(
    "div",
    {},
    el("h4", { style: "margin-top:0" }, image.name),
    image.why ? el("p", { class: "lead" }, image.why) : null,
    scores.length
      ? el(
          "div",
          { class: "scroll", tabindex: 0, role: "region", "aria-label": `${header} of this image` },
          el(
            "table",
            { class: "plain" },
            el(
              "thead",
              {},
              el(
                "tr",
                {},
                el("th", { scope: "col" }, "Method"),
                el("th", { scope: "col", class: "num" }, inUnit(`${header} of the image`, unit)),
              ),
            ),
            el(
              "tbody",
              {},
              ...scores.map(([label, value]) =>
                el(
                  "tr",
                  {},
                  el("th", { scope: "row" }, short(panelName(label), 48)),
                  el("td", { class: "num" }, fixed(scale * value, brief(digits))),
                ),
              ),
            ),
          ),
        )
      : null,
    legend.length
      ? el(
          "ul",
          { class: "legend", style: "margin-top:.8rem" },
          ...legend.map((entry) =>
            el(
              "li",
              {},
              el("span", { class: "swatch", style: `background:rgb(${entry.colour.map(Number).join(",")})` }),
              entry.name,
            ),
          ),
        )
      : null,
  );
}

function drawPanels(image) {
  const panelOf = (key) => {
    const panel = image.panels.find((found) => found.label === picks[key]);
    const error = picks.errors && panel.error !== null;
    return [
      picture(error ? panel.error : panel.file, {
        alt: `${image.name}: ${panelName(panel.label)}${error ? ", errors" : ""}`,
      }),
      panelName(panel.label) + (error ? ", errors" : ""),
    ];
  };
  const [left, leftName] = panelOf("left");
  const [right, rightName] = panelOf("right");
  byId("compare").replaceChildren(
    right,
    left,
    el("span", { class: "edge" }),
    el("span", { class: "name left" }, leftName),
    el("span", { class: "name right" }, rightName),
  );
  place();
}

function place() {
  const [, left, edge] = byId("compare").children;
  left.style.clipPath = `inset(0 ${100 - picks.share}% 0 0)`;
  edge.style.left = `${picks.share}%`;
  byId("gallery-slider").setAttribute("aria-valuetext", `${picks.share} % left picture`);
}

boardViews.push(drawGallery);
