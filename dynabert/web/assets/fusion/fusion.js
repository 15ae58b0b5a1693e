// Shows what the heads of each sub-network do and take over, as dynabert/web/fusion_page.py measured it.

const BAR = "#2f86c9";
const MARK = "#d55e00";
const GREY = "#808080";
const NAMES = { by_layer: "by layer", by_head: "by head", like_layer: "like layer", like_head: "like head", to_itself: "to itself" };
const signed = (value, digits = 3) => `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(digits)}`;

export default function showFusion({ data, parentElement }) {
  const find = (name) => parentElement.querySelector(name);
  const select = find("select.subnet");
  data.subnets.forEach((one, number) => select.append(new Option(one.title, number)));
  select.value = data.chosen;
  drawKey(find(".key"), data);
  drawHeads(find("table[data-of=full]"), data, data.subnets.find((one) => !one.fusion), find(".readout"));
  const show = () => {
    const one = data.subnets[select.value];
    find(".counts").textContent = one.counts;
    find(".small-title").textContent = one.title;
    drawHeads(find("table[data-of=small]"), data, one, find(".readout"));
    drawSummary(find(".summary"), data, one);
    find(".measured").hidden = !one.fusion;
    find(".nothing").hidden = Boolean(one.fusion);
    if (!one.fusion) return;
    drawBars(find(".bars"), one.fusion.by_layer.rows);
    drawTable(find(".absorbed"), one.fusion.absorbed);
    drawTable(find(".resemblance"), one.fusion.resemblance);
  };
  select.addEventListener("input", show);
  show();
}

function element(name, text, attributes = {}) {
  const made = document.createElement(name);
  made.textContent = text;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

function drawKey(key, data) {
  data.groups.forEach((group, number) => {
    const item = element("span", ` ${group}`);
    const square = document.createElement("i");
    square.style.background = data.colours[number];
    item.prepend(square);
    key.append(item);
  });
  key.append(element("span", "✕ not there"));
}

function drawHeads(table, data, one, readout) {
  const top = document.createElement("tr");
  top.append(element("th", ""), ...one.labels[0].map((_, head) => element("th", head + 1, { scope: "col" })));
  const rows = one.labels.map((labels, layer) => {
    const row = document.createElement("tr");
    row.append(element("th", layer + 1, { scope: "row" }));
    labels.forEach((name, head) => {
      const cell = element("td", name ? data.short[name] : "✕", { tabindex: 0 });
      const about = details(one, layer, head, name);
      cell.title = about;
      for (const event of ["pointerenter", "focus"]) {
        cell.addEventListener(event, () => { readout.textContent = about; });
      }
      if (name) {
        const colour = data.colours[data.groups.indexOf(data.group_of[name])];
        cell.style.background = colour;
        cell.style.color = "#000000"; // on all colours of functions it is read more easily than white
      } else cell.style.color = GREY;
      row.append(cell);
    });
    return row;
  });
  table.replaceChildren(top, ...rows);
  table.setAttribute("aria-label", "What every head does: layers are rows, heads columns");
}

function details(one, layer, head, name) {
  const where = `Layer ${layer + 1}, head ${head + 1}`;
  if (!name) return `${where}: not there`;
  const parts = (one.tops[`${layer + 1},${head + 1}`] ?? []).map(([what, observed, chance, tokens]) =>
    `${what} ${observed.toFixed(2)} (chance ${chance.toFixed(2)}, ${tokens} tokens)`);
  return `${where}, ${name}: ${parts.join("; ")}; breadth ${one.breadth[layer][head].toFixed(2)}`;
}

function drawSummary(table, data, chosen) {
  const head = document.createElement("tr");
  for (const name of ["sub-network", "heads left", "removed", "fusion", "chance", "above chance",
    "95 % interval of that", "similarity to the best cover"]) head.append(element("th", name, { scope: "col" }));
  const rows = data.subnets.filter((one) => one.fusion).map((one) => {
    const { fusion } = one;
    const row = document.createElement("tr");
    if (one === chosen) row.className = "chosen";
    for (const value of [one.title, fusion.kept, fusion.removed, signed(fusion.mean), signed(fusion.chance),
      signed(fusion.above), fusion.interval ? fusion.interval.map((end) => signed(end)).join(" to ") : "–",
      fusion.covered.toFixed(3)]) row.append(element("td", value));
    return row;
  });
  table.replaceChildren(head, ...rows);
}

function drawTable(table, { columns, rows }) {
  const head = document.createElement("tr");
  for (const name of columns) head.append(element("th", NAMES[name] ?? name, { scope: "col" }));
  table.replaceChildren(head, ...rows.map((values) => {
    const row = document.createElement("tr");
    values.forEach((value, place) => {
      const whole = /layer|head/.test(columns[place]);
      row.append(element("td", whole ? value : value.toFixed(3).replace("-", "−")));
    });
    return row;
  }));
}

function drawBars(svg, rows) {
  const [left, top, width, height] = [56, 10, 640, 200];
  const values = rows.flatMap(([, , fusion, chance]) => [fusion, chance, 0]);
  const room = 0.08 * (Math.max(...values) - Math.min(...values) || 1);
  const [low, high] = [Math.min(...values) - room, Math.max(...values) + room];
  const y = (value) => top + (height * (high - value)) / (high - low);
  const step = (width - left) / rows.length;
  const draw = (name, attributes, text) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text !== undefined) made.textContent = text;
    svg.append(made);
    return made;
  };
  svg.replaceChildren();
  svg.setAttribute("viewBox", `0 0 ${width} ${top + height + 44}`);
  for (const value of [low, 0, high]) {
    draw("line", { x1: left, x2: width, y1: y(value), y2: y(value), stroke: GREY, "stroke-width": value ? 0.4 : 1 });
    draw("text", { x: left - 6, y: y(value) + 4, "text-anchor": "end" }, value ? signed(value, 2) : "0");
  }
  rows.forEach(([layer, removed, fusion, chance], place) => {
    const middle = left + step * (place + 0.5);
    const bar = draw("rect", {
      x: middle - 0.3 * step, width: 0.6 * step, y: Math.min(y(0), y(fusion)), height: Math.abs(y(0) - y(fusion)), fill: BAR,
    });
    draw("line", { x1: middle - 0.38 * step, x2: middle + 0.38 * step, y1: y(chance), y2: y(chance), stroke: MARK, "stroke-width": 3 });
    draw("text", { x: middle, y: top + height + 18, "text-anchor": "middle" }, layer);
    const title = document.createElementNS("http://www.w3.org/2000/svg", "title");
    title.textContent = `layer ${layer}: fusion ${signed(fusion)}, chance ${signed(chance)}, ${removed} heads removed`;
    bar.append(title);
  });
  draw("text", { x: left + (width - left) / 2, y: top + height + 38, "text-anchor": "middle" }, "layer that lost heads");
  svg.setAttribute("aria-label", rows.map(([layer, , fusion, chance]) =>
    `layer ${layer}: ${signed(fusion)}, chance ${signed(chance)}`).join("; "));
}
