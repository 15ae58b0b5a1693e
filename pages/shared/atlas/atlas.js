// Draws the attention maps of all sub-networks of a text. Everything is here already (see
// dynabert/analysis/map_atlas.py for the bytes): a slider that moves only picks what to draw.

const GONE = "#808080";
const FRAME = "#d55e00";
const MOST_LABELS = 32;
// What a panel says of a head that it has not.
const MISSING = {
  full: (title) => `${title} is not in this network.`,
  small: (title) => `${title} is not in this sub-network.`,
  change: () => "There is nothing to compare.",
};

export default function (component) {
  const { data, parentElement, setStateValue } = component;
  const root = parentElement.querySelector(".atlas");
  if (!data) return;
  const find = (name) => root.querySelector(name);
  const all = (name) => [...root.querySelectorAll(name)];
  const view = root.view ?? (root.view = { frozen: null });
  const atlas = unpack(data);
  take(atlas, view, root);
  root.redraw = () => draw(root, atlas, view, find, all);
  // What a control does next depends on the latest data, its listener is attached once.
  root.report = () => setStateValue("view", {
    w: atlas.width_mults[view.width], d: atlas.depth_mults[view.depth],
    layer: view.layer + 1, head: view.head + 1,
    at: Date.now(), // no two reports are alike
  });
  root.atlas = atlas;
  if (!root.bound) bind(root, view, find, all);
  root.bound = true;
  show(atlas, view, find);
  root.observer?.disconnect();
  root.observer = new ResizeObserver(() => root.redraw());
  root.observer.observe(root);
  root.redraw();
  return () => root.observer.disconnect();
}

function unpack(data) {
  const bytes = new Uint8Array(data.buffer ?? data, data.byteOffset ?? 0, data.byteLength);
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
  const atlas = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + length)));
  const body = bytes.subarray(4 + length);
  const area = atlas.cells * atlas.cells;
  // Of every sub-network: from "layer,head" to its map.
  atlas.maps = atlas.places.map((places, number) => new Map(
    places.map(([layer, head], place) => {
      const start = atlas.starts[number] + place * area;
      return [`${layer},${head}`, body.subarray(start, start + area)];
    }),
  ));
  return atlas;
}

// The view that the page asks for, where this is another turn than the last one seen.
function take(atlas, view, root) {
  const nearest = (mults, wanted) => mults.reduce(
    (best, mult, index) => (Math.abs(mult - wanted) < Math.abs(mults[best] - wanted) ? index : best), 0);
  if (root.turn !== atlas.start.turn) {
    root.turn = atlas.start.turn;
    view.width = nearest(atlas.width_mults, atlas.start.w);
    view.depth = nearest(atlas.depth_mults, atlas.start.d);
    view.layer = atlas.start.layer - 1;
    view.head = atlas.start.head - 1;
  } else if (root.atlas) {
    view.width = nearest(atlas.width_mults, root.atlas.width_mults[view.width]);
    view.depth = nearest(atlas.depth_mults, root.atlas.depth_mults[view.depth]);
  }
  view.layer = Math.min(view.layer, atlas.size[0] - 1);
  view.head = Math.min(view.head, atlas.size[1] - 1);
  if (root.atlas && root.atlas.tokens.join("\n") !== atlas.tokens.join("\n")) view.frozen = null;
}

function bind(root, view, find, all) {
  for (const name of ["width", "depth"]) {
    const slider = find(`input.${name}`);
    slider.addEventListener("input", () => { view[name] = Number(slider.value); root.redraw(); });
    slider.addEventListener("change", () => root.report());
  }
  for (const name of ["threshold", "hide", "renormalise"]) {
    find(`input.${name}`).addEventListener("input", () => root.redraw());
  }
  const choose = (layer, head) => {
    const [layers, heads] = root.atlas.size;
    view.layer = Math.min(Math.max(layer, 0), layers - 1);
    view.head = Math.min(Math.max(head, 0), heads - 1);
    root.redraw();
    root.report();
  };
  const STEPS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
  for (const canvas of all("canvas.grid")) {
    canvas.addEventListener("click", (event) => {
      const place = placeAt(canvas, event);
      if (place) choose(...place);
    });
    canvas.addEventListener("keydown", (event) => {
      const step = STEPS[event.key];
      if (!step) return;
      event.preventDefault();
      choose(view.layer + step[0], view.head + step[1]);
    });
    canvas.addEventListener("pointermove", (event) => {
      const place = placeAt(canvas, event);
      if (!place) return;
      const [layer, head] = place;
      const there = current(root.atlas, view).has(`${layer},${head}`);
      canvas.title = `layer ${layer + 1}, head ${head + 1}${there ? "" : ": not in this sub-network"}`;
    });
  }
  for (const canvas of all("canvas.head")) {
    canvas.addEventListener("pointermove", (event) => {
      const cell = cellAt(canvas, event);
      view.over = cell;
      find(".readout").textContent = cell ? reading(root, view, ...cell) : hint(view, root.atlas);
    });
    canvas.addEventListener("pointerleave", () => { find(".readout").textContent = hint(view, root.atlas); });
    canvas.addEventListener("click", (event) => {
      const cell = cellAt(canvas, event, true);
      if (!cell) return;
      view.frozen = view.frozen === cell[0] ? null : cell[0];
      root.redraw();
    });
  }
}

// The controls' ranges; nothing here changes what they say otherwise.
function show(atlas, view, find) {
  find("input.width").max = atlas.width_mults.length - 1;
  find("input.depth").max = atlas.depth_mults.length - 1;
  const merged = atlas.block > 1;
  for (const name of ["hide", "renormalise"]) if (merged) find(`input.${name}`).checked = false;
  find("input.hide").disabled = merged;
}

const number = (atlas, width, depth) => depth * atlas.width_mults.length + width;
const current = (atlas, view) => atlas.maps[number(atlas, view.width, view.depth)];
const whole = (atlas) => atlas.maps[atlas.maps.length - 1];

// One head's probabilities as they are shown; null where it is gone.
function matrix(atlas, bytes, options) {
  if (!bytes) return null;
  const { cells } = atlas;
  const out = new Float32Array(cells * cells);
  for (let row = 0; row < cells; row++) {
    if (options.hide && atlas.special[row]) continue;
    let sum = 0;
    for (let column = 0; column < cells; column++) {
      if (options.hide && atlas.special[column]) continue;
      const value = (bytes[row * cells + column] / 255) ** 2;
      out[row * cells + column] = value;
      sum += value;
    }
    for (let column = 0; column < cells; column++) {
      const place = row * cells + column;
      if (options.renormalise && sum > 0) out[place] /= sum;
      if (out[place] < options.threshold) out[place] = 0;
    }
  }
  return out;
}

// What a panel shows of a head: probabilities, their difference, or null.
function panel(atlas, view, options, of, layer, head) {
  const key = `${layer},${head}`;
  if (of === "full") return matrix(atlas, whole(atlas).get(key), options);
  if (of === "small") return matrix(atlas, current(atlas, view).get(key), options);
  // The difference of what there is, hidden where the difference itself is small.
  const plain = { ...options, threshold: 0 };
  const full = matrix(atlas, whole(atlas).get(key), plain);
  const small = matrix(atlas, current(atlas, view).get(key), plain);
  if (!small || !full) return null;
  return small.map((value, place) => {
    const change = value - full[place];
    return Math.abs(change) < options.threshold ? 0 : change;
  });
}

// Equal steps of colour for square roots: most values are small.
const shade = (of, value) => (of === "change"
  ? Math.round(127.5 + 127.5 * Math.sign(value) * Math.sqrt(Math.min(Math.abs(value), 1)))
  : Math.round(255 * Math.sqrt(Math.min(value, 1))));

function paint(pixels, place, colour, alpha = 255) {
  pixels[place] = colour >> 16;
  pixels[place + 1] = (colour >> 8) & 255;
  pixels[place + 2] = colour & 255;
  pixels[place + 3] = alpha;
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
  const places = atlas.places[number(atlas, view.width, view.depth)];
  const layers = [...new Set(places.map(([layer]) => layer))];
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
  find(".chosen").textContent = `Layer ${view.layer + 1}, head ${view.head + 1}`;
  find(".readout").textContent = hint(view, atlas);
}

function hint(view, atlas) {
  return view.frozen === null
    ? "Point at a cell for its numbers; click a row to look at one token alone."
    : `Only what “${label(atlas, view.frozen)}” looks at; click again for all tokens.`;
}

// A canvas in device pixels; its context counts in CSS pixels.
function prepare(canvas, height) {
  const ratio = window.devicePixelRatio || 1;
  const width = canvas.clientWidth;
  canvas.style.height = `${height}px`;
  const size = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== size[0] || canvas.height !== size[1]) [canvas.width, canvas.height] = size;
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  context.imageSmoothingEnabled = false;
  context.fillStyle = getComputedStyle(canvas).color;
  context.font = "11px sans-serif";
  return context;
}

function scratch(canvas, width, height) {
  const own = canvas.scratch ?? (canvas.scratch = document.createElement("canvas"));
  if (own.width !== width || own.height !== height) [own.width, own.height] = [width, height];
  const context = own.getContext("2d");
  return [own, context, context.createImageData(width, height)];
}

function drawGrid(canvas, atlas, view, options) {
  const { cells, size: [layers, heads] } = atlas;
  const of = canvas.dataset.of;
  const [left, top] = [22, 18];
  const tile = (canvas.clientWidth - left) / heads;
  const context = prepare(canvas, top + tile * layers);
  canvas.geometry = { left, top, tile, layers, heads };
  const gap = Math.max(1, Math.round(cells / 10));
  const pitch = cells + gap;
  const [own, ownContext, image] = scratch(canvas, heads * pitch, layers * pitch);
  const palette = of === "change" ? atlas.palettes.change : atlas.palettes.attention;
  const gone = [];
  for (let layer = 0; layer < layers; layer++) {
    for (let head = 0; head < heads; head++) {
      const values = panel(atlas, view, options, of, layer, head);
      if (!values) { gone.push([layer, head]); continue; }
      for (let row = 0; row < cells; row++) {
        let place = 4 * ((layer * pitch + row) * heads * pitch + head * pitch);
        for (let column = 0; column < cells; column++, place += 4) {
          paint(image.data, place, palette[shade(of, values[row * cells + column])]);
        }
      }
    }
  }
  ownContext.putImageData(image, 0, 0);
  context.drawImage(own, left, top, tile * heads, tile * layers);
  const inner = (tile * cells) / pitch;
  context.textAlign = "center";
  context.textBaseline = "middle";
  for (let head = 0; head < heads; head++) context.fillText(head + 1, left + tile * head + inner / 2, top / 2);
  for (let layer = 0; layer < layers; layer++) context.fillText(layer + 1, left / 2, top + tile * layer + inner / 2);
  context.strokeStyle = GONE;
  context.lineWidth = 1.5;
  for (const [layer, head] of gone) {
    const [x, y, arm] = [left + tile * head + inner / 2, top + tile * layer + inner / 2, inner / 6];
    context.beginPath();
    context.moveTo(x - arm, y - arm);
    context.lineTo(x + arm, y + arm);
    context.moveTo(x + arm, y - arm);
    context.lineTo(x - arm, y + arm);
    context.stroke();
  }
  context.strokeStyle = FRAME;
  context.lineWidth = 2.5;
  context.strokeRect(left + tile * view.head - 1, top + tile * view.layer - 1, inner + 2, inner + 2);
  canvas.setAttribute("aria-label", `${canvas.parentElement.querySelector("figcaption").textContent}: ` +
    `attention of ${layers} layers by ${heads} heads, ${gone.length} of them left out. ` +
    `Chosen: layer ${view.layer + 1}, head ${view.head + 1}; the arrow keys choose another.`);
}

function drawHead(canvas, atlas, view, options) {
  const { cells } = atlas;
  const of = canvas.dataset.of;
  const values = panel(atlas, view, options, of, view.layer, view.head);
  const measure = canvas.getContext("2d");
  measure.font = "11px sans-serif";
  const labels = [...Array(cells).keys()].map((place) => label(atlas, place));
  const longest = Math.min(90, Math.max(...labels.map((text) => measure.measureText(text).width)));
  const [left, top] = [longest + 8, longest * 0.9 + 12];
  // The last column's slanted label needs room to its right.
  const cell = Math.min(30, (canvas.clientWidth - left - longest * 0.55 - 4) / cells);
  const context = prepare(canvas, values ? top + cell * cells + 2 : 60);
  canvas.geometry = values ? { left, top, cell, cells } : null;
  const title = `Layer ${view.layer + 1}, head ${view.head + 1}`;
  canvas.setAttribute("aria-label", values ? `${title}: attention among ${atlas.tokens.length} tokens`
    : `${title} is not in this network`);
  if (!values) {
    context.textBaseline = "top";
    context.fillText(MISSING[of](title), 0, 8);
    return;
  }
  const [own, ownContext, image] = scratch(canvas, cells, cells);
  const palette = of === "change" ? atlas.palettes.change : atlas.palettes.attention;
  for (let place = 0; place < cells * cells; place++) {
    const row = Math.floor(place / cells);
    const alpha = view.frozen === null || view.frozen === row ? 255 : 40;
    paint(image.data, 4 * place, palette[shade(of, values[place])], alpha);
  }
  ownContext.putImageData(image, 0, 0);
  context.drawImage(own, left, top, cell * cells, cell * cells);
  const every = Math.ceil(cells / Math.min(MOST_LABELS, Math.max(1, Math.floor((cell * cells) / 12))));
  context.textBaseline = "middle";
  for (let place = 0; place < cells; place += every) {
    context.textAlign = "right";
    context.fillText(labels[place], left - 4, top + cell * (place + 0.5), left - 6);
    context.save();
    context.translate(left + cell * (place + 0.5), top - 4);
    context.rotate(-Math.PI / 3);
    context.textAlign = "left";
    context.fillText(labels[place], 0, 0, longest);
    context.restore();
  }
}

function drawScale(canvas, atlas) {
  const context = canvas.getContext("2d");
  const palette = canvas.dataset.of === "change" ? atlas.palettes.change : atlas.palettes.attention;
  const image = context.createImageData(canvas.width, canvas.height);
  for (let x = 0; x < canvas.width; x++) {
    const value = canvas.dataset.of === "change" ? (2 * x) / (canvas.width - 1) - 1 : x / (canvas.width - 1);
    for (let y = 0; y < canvas.height; y++) {
      paint(image.data, 4 * (y * canvas.width + x), palette[shade(canvas.dataset.of, value)]);
    }
  }
  context.putImageData(image, 0, 0);
}

function label(atlas, place) {
  const first = place * atlas.block;
  const last = Math.min(first + atlas.block, atlas.tokens.length) - 1;
  return first === last ? atlas.tokens[first] : `${atlas.tokens[first]} … ${atlas.tokens[last]}`;
}

function placeAt(canvas, event) {
  const { left, top, tile, layers, heads } = canvas.geometry ?? {};
  const head = Math.floor((event.offsetX - left) / tile);
  const layer = Math.floor((event.offsetY - top) / tile);
  return head >= 0 && head < heads && layer >= 0 && layer < layers ? [layer, head] : null;
}

// The cell under the pointer, as row and column; with `labels`, also where a row's label is.
function cellAt(canvas, event, labels = false) {
  if (!canvas.geometry) return null;
  const { left, top, cell, cells } = canvas.geometry;
  const row = Math.floor((event.offsetY - top) / cell);
  const column = Math.floor((event.offsetX - left) / cell);
  const inside = row >= 0 && row < cells && column < cells && (column >= 0 || labels);
  return inside ? [row, column] : null;
}

// Two decimals: that much a byte holds.
function reading(root, view, row, column) {
  const { atlas } = root;
  const where = `${label(atlas, row)} → ${label(atlas, column)}`;
  const options = { ...chosenOptions((name) => root.querySelector(name)), threshold: 0 };
  if (options.hide && (atlas.special[row] || atlas.special[column])) return `${where}: hidden`;
  const value = (of) => panel(atlas, view, options, of, view.layer, view.head)?.[row * atlas.cells + column];
  const [full, small, change] = ["full", "small", "change"].map(value);
  const parts = [];
  if (full !== undefined) parts.push(`full network ${full.toFixed(2)}`);
  if (small !== undefined) parts.push(`sub-network ${small.toFixed(2)}`);
  if (change !== undefined) {
    parts.push(`difference ${Math.abs(change) < 0.01 ? "below 0.01" : (change > 0 ? "+" : "−") + Math.abs(change).toFixed(2)}`);
  }
  return `${where}: ${parts.join(", ")}`;
}
