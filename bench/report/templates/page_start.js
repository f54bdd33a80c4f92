document.documentElement.classList.add("js");

const remembered = (key, value) => {
  try {
    if (value === undefined) return window.localStorage.getItem(key);
    window.localStorage.setItem(key, value);
  } catch {
    // A browser may refuse storage to a file; the choice then lasts as long as the page.
  }
  return null;
};
const prefersDark = window.matchMedia("(prefers-color-scheme: dark)");
const isDark = () => (document.documentElement.dataset.theme || (prefersDark.matches ? "dark" : "light")) === "dark";
const tellTheme = () => byId("theme").setAttribute("aria-pressed", String(isDark()));
const stored = remembered("bench-report-theme");
if (stored === "dark" || stored === "light") document.documentElement.dataset.theme = stored;
byId("theme").addEventListener("click", () => {
  document.documentElement.dataset.theme = isDark() ? "light" : "dark";
  remembered("bench-report-theme", document.documentElement.dataset.theme);
  tellTheme();
});
prefersDark.addEventListener("change", tellTheme);
tellTheme();

if (byId("board")) byId("board").addEventListener("change", () => showBoard(Number(byId("board").value)));
if (boards.length) showBoard(byId("board") ? Number(byId("board").value) : 0);
else for (const id of ["tradeoff", "classes", "images", "gallery", "curves"]) byId(id).hidden = true;

let drawnWidth = window.innerWidth;
window.addEventListener("resize", () => {
  if (window.innerWidth === drawnWidth || !boards.length) return;
  drawnWidth = window.innerWidth;
  drawScatter();
  drawImages();
});

const links = new Map([...document.querySelectorAll(".links a")].map((link) => [link.hash.slice(1), link]));
if ("IntersectionObserver" in window) {
  const seen = new IntersectionObserver(
    (entries) => {
      for (const { target, isIntersecting } of entries) {
        if (!isIntersecting) continue;
        for (const link of links.values()) link.removeAttribute("aria-current");
        const link = links.get(target.id || "main");
        if (!link) continue;
        link.setAttribute("aria-current", "true");
        const list = link.closest("ul");
        list.scrollLeft += link.getBoundingClientRect().left - list.getBoundingClientRect().left - list.clientWidth / 3;
      }
    },
    { rootMargin: "-15% 0px -75% 0px" },
  );
  document.querySelectorAll("main > section").forEach((section) => seen.observe(section));
}
