const byId = id => document.getElementById(id);
const body = document.querySelector("#statements tbody"), rows = [...body.rows];
const find = byId("find"), chosen = ["verdict", "kind"].map(byId);
function filter() {
  const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  for (const row of rows) {
    const fits = words.every(word => row.dataset.told.includes(word))
      && chosen.every(({id, value}) => !value || row.dataset[id] === value);
    row.hidden = !fits;
    byId(row.querySelector("a").hash.slice(1)).hidden = !fits;
    shown += fits;
  }
  byId("shown").textContent = `${shown} of ${rows.length}`;
}
find.addEventListener("input", filter);
for (const select of chosen) select.addEventListener("change", filter);
document.querySelectorAll("#statements thead th").forEach((head, column) => head.querySelector("button").addEventListener("click", () => {
  const up = head.getAttribute("aria-sort") !== "ascending";
  document.querySelectorAll("#statements thead th").forEach(other => other.setAttribute("aria-sort", "none"));
  head.setAttribute("aria-sort", up ? "ascending" : "descending");
  const key = row => {
    const cell = row.children[column], value = cell.dataset.value;
    if (column === 0) return rows.indexOf(row);
    if (column < 3) return cell.textContent;
    return value === "" || value === undefined ? Infinity : Number(value);
  };
  const order = (a, b) => { const x = key(a), y = key(b); return (x < y ? -1 : x > y ? 1 : 0) * (up ? 1 : -1); };
  [...rows].sort(order).forEach(row => body.append(row));
}));
// what a link points to may be folded, or filtered away
function unfold() {
  const target = location.hash.length > 1 && byId(decodeURIComponent(location.hash.slice(1)));
  if (!target) return;
  if (target.closest("article")?.hidden) {
    for (const field of [find, ...chosen]) field.value = "";
    filter();
  }
  for (let node = target; node; node = node.parentElement) if (node.localName === "details") node.open = true;
  target.scrollIntoView();
}
addEventListener("hashchange", unfold);
for (const button of document.querySelectorAll("[data-cite]")) button.addEventListener("click", async () => {
  const text = button.dataset.cite, field = byId("bibtex");
  field.value = text;
  byId("cited").textContent = button.textContent;
  byId("copied").textContent = "";
  byId("cite").showModal();
  try {
    await navigator.clipboard.writeText(text);
    byId("copied").textContent = "Copied.";
  } catch {
    byId("copied").textContent = "The browser does not let this page copy: the text is selected.";
    field.select();
  }
});
// what can be scrolled can be reached with the keyboard
const scrolled = new ResizeObserver(all => all.forEach(({target}) => {
  target.tabIndex = target.scrollWidth > target.clientWidth ? 0 : -1;
}));
document.querySelectorAll(".formula, .wide, pre").forEach(part => scrolled.observe(part));
filter();
unfold();
