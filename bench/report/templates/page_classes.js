/* Score and gain of every class by method, as a table that is its own heat map. */
const MOST_CLASS_COLUMNS = 24;

function drawClasses() {
  const { names, rows, n_left_out: leftOut, header, sign, digits } = board().classes;
  const box = byId("class-table");
  box.previousElementSibling.hidden = !rows.length;
  const what = byId("class-what").value;
  const shown = rows
    .filter((row) => what === "score" || row.gain.some((value) => value !== null))
    .slice(0, MOST_CLASS_COLUMNS);
  if (!names.length || !shown.length) {
    box.replaceChildren(
      el(
        "p",
        { class: "empty" },
        what === "gain" && names.length
          ? "No method shares a seed with none: gains cannot be told."
          : "No finished cell has scores by class.",
      ),
    );
    return;
  }
  const students = shown.filter((row) => row.kind !== "teacher");
  const all = (students.length ? students : shown).flatMap((row) => row[what]).filter((value) => value !== null);
  const most = Math.max(0.01, ...all.map(Math.abs));
  const low = all.reduce((a, b) => Math.min(a, b), Infinity);
  const span = all.reduce((a, b) => Math.max(a, b), -Infinity) - low || 1;
  const height = (value) => (sign < 0 ? 1 - (value - low) / span : (value - low) / span);
  const tone = (value) => heat(what === "gain" ? value / most : Math.max(0, height(value)));
  const head = el(
    "tr",
    {},
    el("th", { scope: "col", "aria-sort": "none" }, el("button", { type: "button", class: "sort" }, "Class")),
    ...shown.map((row) =>
      el(
        "th",
        { scope: "col", class: "num", "aria-sort": "none" },
        el(
          "button",
          { type: "button", class: "sort", tip: `${row.label}: sort the classes by it` },
          short(row.label, 28),
        ),
      ),
    ),
  );
  const body = names.map((name, at) =>
    el(
      "tr",
      {},
      el("th", { scope: "row", "data-v": name }, short(name, 48)),
      ...shown.map((row) => {
        const value = row[what][at];
        if (value === null) return el("td", { "data-v": "" }, "");
        return el(
          "td",
          {
            "data-v": value,
            style: `background:${tone(value)}`,
            tip: { title: `${row.label}, ${name}`, lines: classTip(row, at) },
          },
          what === "gain" ? signed(value, brief(digits)) : fixed(value, brief(digits)),
        );
      }),
    ),
  );
  const table = el(
    "table",
    { class: "grid class-grid" },
    el("caption", { class: "hidden" }, `${what === "gain" ? "Gain" : header} by class and method`),
    el("thead", {}, head),
    el("tbody", {}, ...body),
  );
  sortable(table);
  const more =
    rows.length -
    shown.length +
    leftOut -
    (what === "gain" ? rows.filter((row) => row.gain.every((value) => value === null)).length : 0);
  box.replaceChildren(
    el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Scores by class" }, table),
    el(
      "p",
      { class: "lead" },
      what === "gain"
        ? "Blue: better than none, orange: worse. Means over the seeds that both have."
        : `The bluer, the ${sign < 0 ? "lower" : "higher"}. Means over the seeds; empty where a class has no score.`,
      more > 0 ? ` ${more} more methods are not shown.` : "",
    ),
  );
  filterClasses();
}

function classTip(row, at) {
  const { title, unit, digits } = board().classes;
  const lines = [[title, fixed(row.score[at], digits)]];
  if (row.gain[at] !== null) lines.push([inUnit("Gain", unit), signed(row.gain[at], digits)]);
  return lines;
}

function classOptions() {
  const { title, unit } = board().classes;
  const entries = title
    ? [
        ["score", title],
        ["gain", inUnit("Gain over none", unit)],
      ]
    : [];
  options(byId("class-what"), entries, byId("class-what").value);
}

function filterClasses() {
  const wanted = byId("class-filter").value.toLowerCase();
  for (const row of byId("class-table").querySelectorAll("tbody tr"))
    row.hidden = !row.cells[0].dataset.v.toLowerCase().includes(wanted);
}

byId("class-what").addEventListener("change", drawClasses);
byId("class-filter").addEventListener("input", filterClasses);
boardViews.push(() => {
  classOptions();
  drawClasses();
});
