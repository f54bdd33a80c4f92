"use strict";

const boards = JSON.parse(document.getElementById("data").textContent);
const gallery = JSON.parse(document.getElementById("gallery-data").textContent);
const boardViews = [];
let current = 0;
let chosen = null;

const byId = (id) => document.getElementById(id);
const board = () => boards[current];

/** Makes an element; text goes in as text nodes, so that no name is ever read as markup. */
function make(space, tag, attributes, children) {
  const node = space ? document.createElementNS(space, tag) : document.createElement(tag);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (key === "tip") tips.set(node, value);
    else node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return node;
}
const el = (tag, attributes, ...children) => make(null, tag, attributes, children);
const svg = (tag, attributes, ...children) => make("http://www.w3.org/2000/svg", tag, attributes, children);

const MINUS = "\u2212";
const fixed = (value, digits = 2) => (value === null || value === undefined ? "" : value.toFixed(digits));
const signed = (value, digits = 2) =>
  value === null || value === undefined ? "" : (value < 0 ? MINUS : "+") + Math.abs(value).toFixed(digits);
/** A digit less, where the table beside it tells all of them. */
const brief = (digits) => Math.max(digits - 1, 0);
/** A name with its unit in brackets, where there is one. */
const inUnit = (name, unit) => (unit ? `${name} (${unit})` : name);
const short = (text, most) => (text.length <= most ? text : text.slice(0, Math.max(most - 1, 1)) + "…");

function quantity(value) {
  for (const [size, prefix] of [
    [1e12, " T"],
    [1e9, " G"],
    [1e6, " M"],
    [1e3, " k"],
  ]) {
    if (Math.abs(value) >= size) return Number((value / size).toPrecision(4)) + prefix;
  }
  return String(Number(value.toPrecision(4)));
}

/* Tooltips: by hover and by keyboard focus alike; Escape puts them away. */
const tips = new WeakMap();
const tipBox = byId("tip");
let tipOwner = null;

function tipHolder(node) {
  for (let at = node instanceof Element ? node : null; at && at !== document.body; at = at.parentElement) {
    if (tips.has(at) || at.hasAttribute("data-tip")) return at;
  }
  return null;
}

function showTip(holder, content, box) {
  tipBox.replaceChildren();
  const { title, lines } = typeof content === "string" ? { title: content, lines: [] } : content;
  if (title) tipBox.append(lines.length ? el("b", {}, title) : title);
  if (lines.length)
    tipBox.append(el("dl", {}, ...lines.flatMap(([key, value]) => [el("dt", {}, key), el("dd", {}, value)])));
  tipBox.hidden = false;
  const size = tipBox.getBoundingClientRect();
  const below = box.bottom + 8 + size.height <= window.innerHeight;
  const top = below ? box.bottom + 8 : Math.max(8, box.top - size.height - 8);
  const left = Math.min(Math.max(10, box.left + box.width / 2 - size.width / 2), window.innerWidth - size.width - 10);
  tipBox.style.top = `${top}px`;
  tipBox.style.left = `${Math.max(10, left)}px`;
  if (tipOwner && tipOwner !== holder) tipOwner.removeAttribute("aria-describedby");
  tipOwner = holder;
  holder.setAttribute("aria-describedby", "tip");
}

function hideTip() {
  tipBox.hidden = true;
  if (tipOwner) tipOwner.removeAttribute("aria-describedby");
  tipOwner = null;
}

function tellTip(holder) {
  const content = tips.get(holder) || holder.getAttribute("data-tip");
  if (content) showTip(holder, content, holder.getBoundingClientRect());
}

function tipFor(event) {
  const holder = tipHolder(event.target);
  if (holder) tellTip(holder);
  else hideTip();
}

/** Focus may scroll its element into view: the tip goes along, while one of the pointer is put away. */
function moveTip(event) {
  if (event.target !== document || tipBox.hidden) return;
  if (tipOwner === document.activeElement && tipHolder(tipOwner) === tipOwner) tellTip(tipOwner);
  else hideTip();
}
document.addEventListener("pointerover", tipFor);
document.addEventListener("focusin", tipFor);
document.addEventListener("focusout", hideTip);
document.addEventListener("scroll", moveTip, { passive: true });
document.addEventListener("keydown", (event) => event.key === "Escape" && hideTip());

/** Ticks at round numbers; on a logarithmic axis at 1, 2 and 5 times powers of ten. */
function ticks(low, high, wanted, log) {
  const found = [];
  if (log) {
    for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power += 1) {
      for (const digit of [1, 2, 5]) {
        const value = digit * 10 ** power;
        if (value >= low && value <= high) found.push(value);
      }
    }
    if (found.length >= 3) return found;
    found.length = 0;
  }
  const rough = (high - low) / wanted;
  const scale = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((digit) => digit * scale).find((size) => size >= 0.7 * rough) || rough;
  for (let value = Math.ceil(low / step) * step; value <= high + step / 1e6; value += step)
    found.push(Math.abs(value) < step / 1e6 ? 0 : value);
  return found;
}

function range(values, margin) {
  const low = values.reduce((a, b) => Math.min(a, b), Infinity);
  const high = values.reduce((a, b) => Math.max(a, b), -Infinity);
  const more = (high - low || Math.abs(high) || 1) * margin;
  return [low - more, high + more];
}

function options(select, entries, wanted) {
  select.replaceChildren(...entries.map(([value, text]) => el("option", { value }, short(text, 70))));
  if (entries.some(([value]) => value === wanted)) select.value = wanted;
}

/** The colour of a heat map's cell: blue above zero, orange below, the stronger the further. */
const heat = (share) =>
  `color-mix(in oklab, var(${share < 0 ? "--down" : "--up"}) ${Math.round(48 * Math.min(1, Math.abs(share)))}%, var(--card))`;

function choose(name, scroll) {
  chosen = chosen === name && !scroll ? null : name;
  for (const row of document.querySelectorAll(".leaderboard tbody tr")) {
    const place = Number(row.closest(".board").dataset.board);
    const own = boards[place].rows[Number(row.dataset.row)].name === chosen;
    row.classList.toggle("chosen", own && chosen !== null);
    if (own && scroll && place === current) row.scrollIntoView({ block: "center" });
  }
  for (const point of document.querySelectorAll("#scatter .point")) {
    point.classList.toggle("chosen", chosen !== null && point.dataset.name === chosen);
  }
}

function showBoard(place) {
  current = place;
  hideTip();
  for (const node of document.querySelectorAll(".board")) node.hidden = Number(node.dataset.board) !== place;
  for (const view of boardViews) view();
}
