const rows = [...document.querySelectorAll("tbody tr")], body = document.querySelector("tbody");
const find = document.getElementById("find"), verdict = document.getElementById("verdict");
function filter() {
  const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  for (const row of rows) {
    const fits = words.every(word => row.dataset.told.includes(word)) && (!verdict.value || row.dataset.verdict === verdict.value);
    row.hidden = !fits;
    document.getElementById(row.querySelector("a").hash.slice(1)).hidden = !fits;
    shown += fits;
  }
  document.getElementById("shown").textContent = `${shown} of ${rows.length}`;
}
find.addEventListener("input", filter);
verdict.addEventListener("change", filter);
document.querySelectorAll("thead th").forEach((head, column) => head.querySelector("button").addEventListener("click", () => {
  const up = head.getAttribute("aria-sort") !== "ascending";
  document.querySelectorAll("thead th").forEach(other => other.setAttribute("aria-sort", "none"));
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
filter();
