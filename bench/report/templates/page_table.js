/** Sorts by the buttons in the header: numbers from the highest, words from A; a third press restores the order. */
function sortable(table) {
  const body = table.tBodies[0];
  const original = [...body.rows];
  const headers = [...table.tHead.rows[0].cells];
  const restore = () => {
    body.append(...original);
    headers.forEach((header) => header.setAttribute("aria-sort", "none"));
    table.classList.remove("sorted");
    tiers(body, true);
  };
  headers.forEach((header, column) => {
    const button = header.querySelector(".sort");
    if (!button) return;
    button.addEventListener("click", () => {
      const before = header.getAttribute("aria-sort");
      const first = header.classList.contains("num") ? "descending" : "ascending";
      const second = first === "descending" ? "ascending" : "descending";
      if (before === second) return restore();
      const order = before === first ? second : first;
      headers.forEach((other) => other.setAttribute("aria-sort", other === header ? order : "none"));
      const pinned = original.filter((row) => row.classList.contains("teacher"));
      const rest = original.filter((row) => !row.classList.contains("teacher"));
      body.append(...pinned, ...sorted(rest, column, order, header.classList.contains("num")));
      table.classList.add("sorted");
      tiers(body, header.dataset.col === table.dataset.score);
      return undefined;
    });
  });
  return restore;
}

function sorted(rows, column, order, numeric) {
  const sign = order === "ascending" ? 1 : -1;
  const key = (row) => row.cells[column].dataset.v || "";
  const known = rows.filter((row) => key(row) !== "");
  const compare = numeric
    ? (a, b) => Number(key(a)) - Number(key(b))
    : (a, b) => key(a).localeCompare(key(b), "en", { numeric: true });
  // Rows without a value stay last in either order.
  return [...known.sort((a, b) => sign * compare(a, b)), ...rows.filter((row) => key(row) === "")];
}

/** Draws a line where a tier begins, as long as the order is that of the scores. */
function tiers(body, ordered) {
  let before = null;
  for (const row of body.rows) {
    const tier = row.classList.contains("method") ? row.dataset.tier || null : null;
    row.classList.toggle("tier-start", Boolean(ordered && tier && before && tier !== before));
    before = tier || before;
  }
}

function leaderboardTools(node, rows) {
  const table = node.querySelector("table.leaderboard");
  const restore = sortable(table);
  const filter = node.querySelector(".filter");
  const found = node.querySelector(".found");
  const lines = [...table.tBodies[0].rows];
  const apply = () => {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const line of lines) {
      const text = line.textContent.toLowerCase();
      line.hidden = !words.every((word) => text.includes(word));
      count += line.hidden ? 0 : 1;
    }
    found.textContent = words.length ? `${count} of ${lines.length} rows` : "";
  };
  filter.addEventListener("input", apply);
  node.querySelector(".reset").addEventListener("click", () => {
    filter.value = "";
    apply();
    restore();
  });
  for (const box of node.querySelectorAll("[data-toggle]")) {
    box.addEventListener("change", () => {
      for (const cell of table.querySelectorAll(`[data-col="${box.dataset.toggle}"]`))
        cell.toggleAttribute("data-off", !box.checked);
    });
  }
  for (const line of lines) {
    const row = rows[Number(line.dataset.row)];
    const button = line.querySelector(".pick-row");
    tips.set(button, { title: row.label, lines: row.tip });
    button.addEventListener("click", () => choose(row.name, false));
  }
  const save = node.querySelector(".save");
  save.addEventListener("click", () => saveCsv(table, node.querySelector("h3").textContent));
}

function saveCsv(table, title) {
  const quote = (text) => {
    const inert = /^[=+@\t\r-]/.test(text) && !/^[+-]?[\d.]/.test(text) ? `'${text}` : text;
    return `"${inert.replaceAll('"', '""')}"`;
  };
  const cells = (row) => [...row.cells].filter((cell) => !cell.hasAttribute("data-off"));
  const lines = [cells(table.tHead.rows[0]).map((cell) => quote(cell.textContent.trim()))];
  for (const row of table.tBodies[0].rows)
    if (!row.hidden) lines.push(cells(row).map((cell) => quote(cell.dataset.v || "")));
  const url = URL.createObjectURL(
    new Blob([lines.map((line) => line.join(",")).join("\n") + "\n"], { type: "text/csv" }),
  );
  el("a", {
    href: url,
    download: `${title
      .trim()
      .replace(/[^\w-]+/g, "_")
      .slice(0, 80)}.csv`,
  }).click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}

document.querySelectorAll(".board").forEach((node, place) => leaderboardTools(node, boards[place].rows));
for (const table of document.querySelectorAll("table.across")) {
  sortable(table);
  const cells = [...table.querySelectorAll("[data-gain]")];
  const most = Math.max(0.01, ...cells.map((cell) => Math.abs(Number(cell.dataset.gain))));
  for (const cell of cells) cell.style.background = heat(Number(cell.dataset.gain) / most);
}
document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.menu[open]"))
    if (!menu.contains(event.target)) menu.open = false;
});
document.addEventListener("keydown", (event) => {
  const menu = event.key === "Escape" && document.querySelector("details.menu[open]");
  if (menu) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
});
