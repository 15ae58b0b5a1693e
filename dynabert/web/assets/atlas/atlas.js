// Shows the attention maps of all sub-networks of a text. Everything is here already: a slider that
// moves only picks what to draw. maps.js and canvas.js stand before this file in one and the same script.

const ABOUT = {
  head: "One attention head: each row is a token that looks, each column a token it looks at; rows sum to 1.",
  layer: "The mean over the heads that the network has in this layer, each counting the same.",
  network: "The mean over all heads of all layers that the network has, each counting the same.",
  rollout: "How much of each token (column) reaches each position (row) through all layers that run: the product " +
    "of 0.5 × mean of a layer’s heads + 0.5 × identity, for the residual connection; rows sum to 1 " +
    "(Abnar and Zuidema 2020, arXiv 2005.00928). Layers that are left out pass everything on.",
};
const STEPS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };

export default function showAtlas(component) {
  const { data, parentElement, setStateValue } = component;
  const root = parentElement.querySelector(".atlas");
  if (!data) return;
  const find = (name) => root.querySelector(name);
  const all = (name) => [...root.querySelectorAll(name)];
  const view = root.view ?? (root.view = { frozen: null });
  const atlas = unpack(data);
  take(atlas, view, root, find);
  root.redraw = () => draw(root, atlas, view, find, all);
  // What a control does next depends on the latest data, its listener is attached once.
  root.report = () => setStateValue("view", report(atlas, view, find));
  root.atlas = atlas;
  if (!root.bound) bind(root, view, find, all);
  root.bound = true;
  show(atlas, find);
  root.observer?.disconnect();
  root.observer = new ResizeObserver(() => root.redraw());
  root.observer.observe(root);
  root.redraw();
  return () => root.observer.disconnect();
}

// The view that the page asks for, where this is another turn than the last one seen.
function take(atlas, view, root, find) {
  const nearest = (mults, wanted) => mults.reduce(
    (best, mult, index) => (Math.abs(mult - wanted) < Math.abs(mults[best] - wanted) ? index : best), 0);
  const { start } = atlas;
  if (root.atlas && root.atlas.tokens.join("\n") !== atlas.tokens.join("\n")) view.frozen = null;
  if (root.turn !== start.turn) {
    root.turn = start.turn;
    view.width = nearest(atlas.width_mults, start.w);
    view.depth = nearest(atlas.depth_mults, start.d);
    view.layer = start.layer - 1;
    view.head = start.head - 1;
    view.map = start.map;
    view.frozen = start.token ? start.token - 1 : null;
    find("input.threshold").value = start.below;
    find("input.hide").checked = start.hide !== "none";
    find("input.renormalise").checked = start.hide === "renormalise";
  } else if (root.atlas) {
    view.width = nearest(atlas.width_mults, root.atlas.width_mults[view.width]);
    view.depth = nearest(atlas.depth_mults, root.atlas.depth_mults[view.depth]);
  }
  view.layer = Math.min(view.layer, atlas.size[0] - 1);
  view.head = Math.min(view.head, atlas.size[1] - 1);
  if (view.frozen >= atlas.cells) view.frozen = null;
}

// The same fields as the view that a page asks for.
function report(atlas, view, find) {
  const { threshold, hide, renormalise } = chosenOptions(find);
  return {
    w: atlas.width_mults[view.width],
    d: atlas.depth_mults[view.depth],
    layer: view.layer + 1,
    head: view.head + 1,
    map: view.map,
    token: view.frozen === null ? 0 : view.frozen + 1,
    below: Math.round(100 * threshold),
    hide: renormalise ? "renormalise" : hide ? "special" : "none",
    at: Date.now(), // no two reports are alike
  };
}

function bind(root, view, find, all) {
  for (const name of ["width", "depth"]) {
    const slider = find(`input.${name}`);
    slider.addEventListener("input", () => { view[name] = Number(slider.value); root.redraw(); });
    slider.addEventListener("change", () => root.report());
  }
  for (const name of ["threshold", "hide", "renormalise"]) {
    find(`input.${name}`).addEventListener("input", () => root.redraw());
    find(`input.${name}`).addEventListener("change", () => root.report());
  }
  for (const choice of all("input[name=map]")) {
    choice.addEventListener("change", () => { view.map = choice.value; root.redraw(); root.report(); });
  }
  bindGrids(root, view, all);
  for (const canvas of all("canvas.head")) {
    canvas.addEventListener("pointermove", (event) => {
      const cell = cellAt(canvas, event);
      find(".readout").textContent = cell ? reading(root, view, ...cell) : hint(view, root.atlas);
    });
    canvas.addEventListener("pointerleave", () => { find(".readout").textContent = hint(view, root.atlas); });
    const freeze = (row) => {
      view.frozen = view.frozen === row ? null : row;
      root.redraw();
      root.report();
    };
    canvas.addEventListener("click", (event) => {
      const cell = cellAt(canvas, event, true);
      if (cell) freeze(cell[0]);
    });
    // The arrow keys go from cell to cell, Enter is a click on the row.
    canvas.addEventListener("keydown", (event) => {
      const step = STEPS[event.key] ?? (event.key === "Enter" ? [0, 0] : null);
      if (!step) return;
      event.preventDefault();
      const last = root.atlas.cells - 1;
      view.cell = (view.cell ?? [0, 0]).map((at, axis) => Math.min(Math.max(at + step[axis], 0), last));
      if (event.key === "Enter") freeze(view.cell[0]);
      find(".readout").textContent = reading(root, view, ...view.cell);
    });
  }
}

// A click or an arrow key enlarges a head, or in the last column the mean of a layer's heads.
function bindGrids(root, view, all) {
  const choose = (layer, column) => {
    const [layers, heads] = root.atlas.size;
    view.layer = Math.min(Math.max(layer, 0), layers - 1);
    view.map = column < heads ? "head" : "layer";
    if (column < heads) view.head = Math.max(column, 0);
    root.redraw();
    root.report();
  };
  for (const canvas of all("canvas.grid")) {
    canvas.addEventListener("click", (event) => {
      const place = placeAt(canvas, event);
      if (place) choose(...place);
    });
    canvas.addEventListener("keydown", (event) => {
      const step = STEPS[event.key];
      if (!step) return;
      event.preventDefault();
      const column = columnOf(view, root.atlas.size[1]) ?? view.head;
      choose(view.layer + step[0], column + step[1]);
    });
    canvas.addEventListener("pointermove", (event) => {
      const place = placeAt(canvas, event);
      if (!place) return;
      const [layer, column] = place;
      const { atlas } = root;
      const kind = column < atlas.size[1] ? "head" : "layer";
      const there = probabilities(atlas, current(atlas, view), kind, layer, column);
      const what = kind === "head" ? `head ${column + 1}` : "mean of its heads";
      canvas.title = `layer ${layer + 1}, ${what}${there ? "" : ": not in this sub-network"}`;
    });
  }
}

// The controls' ranges; nothing here changes what they say otherwise.
function show(atlas, find) {
  for (const [name, mults] of [["width", atlas.width_mults], ["depth", atlas.depth_mults]]) {
    const slider = find(`input.${name}`);
    slider.max = mults.length - 1;
    slider.disabled = mults.length === 1; // a run of one size
  }
  const merged = atlas.block > 1;
  for (const name of ["hide", "renormalise"]) if (merged) find(`input.${name}`).checked = false;
  find("input.hide").disabled = merged;
}

function draw(root, atlas, view, find, all) {
  if (!root.clientWidth) return;
  const started = performance.now();
  const options = chosenOptions(find);
  say(atlas, view, options, find);
  for (const canvas of all("canvas.grid")) drawGrid(canvas, atlas, view, options);
  for (const canvas of all("canvas.head")) drawHead(canvas, atlas, view, options);
  for (const canvas of all("canvas.scale")) drawScale(canvas, atlas);
  root.dataset.redrawMs = (performance.now() - started).toFixed(2);
}

function chosenOptions(find) {
  const hide = find("input.hide").checked;
  return {
    threshold: Number(find("input.threshold").value) / 100,
    hide,
    renormalise: hide && find("input.renormalise").checked,
  };
}

function say(atlas, view, options, find) {
  find("input.width").value = view.width;
  find("input.depth").value = view.depth;
  find("input.renormalise").disabled = !options.hide;
  find(`input[name=map][value=${view.map}]`).checked = true;
  const places = atlas.places[current(atlas, view)];
  const layers = layersOf(atlas, current(atlas, view));
  const perLayer = layers.map((one) => places.filter(([layer]) => layer === one).length);
  const [low, high] = [Math.min(...perLayer), Math.max(...perLayer)];
  const heads = low === high ? `${low}` : `${low} to ${high}`;
  const short = (mult) => String(Number(mult.toPrecision(3)));
  const [width, depth] = [short(atlas.width_mults[view.width]), short(atlas.depth_mults[view.depth])];
  find(".width-text").textContent = `${width} (${heads} of ${atlas.size[1]} heads)`;
  find(".depth-text").textContent = `${depth} (${layers.length} of ${atlas.size[0]} layers)`;
  find(".threshold-text").textContent = options.threshold ? options.threshold.toFixed(2) : "off";
  find(".small-title").textContent = `Width ${width}, depth ${depth}`;
  const notes = [`Layers ${layers.map((layer) => layer + 1).join(", ")}; ${places.length} heads in all.`];
  if (options.hide) {
    notes.push(options.renormalise
      ? "Special tokens are hidden and what is left of every row sums to 1."
      : "Special tokens are hidden; rows are not renormalised, so they sum to less than 1.");
  }
  find(".counts").textContent = notes.join(" ");
  find(".chosen").textContent = title(view);
  find(".about").textContent = ABOUT[view.map];
  find(".readout").textContent = hint(view, atlas);
}

function hint(view, atlas) {
  return view.frozen === null
    ? "Point at a cell for its numbers (or the arrow keys); click a row (or Enter) to look at one token alone."
    : `Only what “${label(atlas, view.frozen)}” looks at; click again for all tokens.`;
}

// Two decimals: that much a byte holds.
function reading(root, view, row, column) {
  const { atlas } = root;
  const where = `${label(atlas, row)} → ${label(atlas, column)}`;
  const options = { ...chosenOptions((name) => root.querySelector(name)), threshold: 0 };
  if (options.hide && (atlas.special[row] || atlas.special[column])) return `${where}: hidden`;
  const place = row * atlas.cells + column;
  const value = (of) => panel(atlas, view, options, of, view.map, view.layer, view.head)?.[place];
  const [full, small, change] = ["full", "small", "change"].map(value);
  const parts = [];
  if (full !== undefined) parts.push(`full network ${full.toFixed(2)}`);
  if (small !== undefined) parts.push(`sub-network ${small.toFixed(2)}`);
  if (change !== undefined) {
    parts.push(`difference ${Math.abs(change) < 0.01 ? "below 0.01" : (change > 0 ? "+" : "−") + Math.abs(change).toFixed(2)}`);
  }
  return `${where}: ${parts.join(", ")}`;
}
