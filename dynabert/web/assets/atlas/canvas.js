// Drawing maps on canvases, and finding what lies under a pointer.

const GONE = "#808080";
const FRAME = "#d55e00";
const MOST_LABELS = 32;
// What a panel says of something that it has not.
const MISSING = {
  full: (title) => `${title} is not in this network.`,
  small: (title) => `${title} is not in this sub-network.`,
  change: () => "There is nothing to compare.",
};

const title = (view) => ({
  head: `Layer ${view.layer + 1}, head ${view.head + 1}`,
  layer: `Layer ${view.layer + 1}, mean of its heads`,
  network: "Mean of all heads of all layers",
  rollout: "Attention rollout over all layers",
})[view.map];

// What it is that can be missing: a head, or a whole layer.
const subject = (view) => (view.map === "layer" ? `Layer ${view.layer + 1}` : title(view));

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

const paletteOf = (atlas, of) => (of === "change" ? atlas.palettes.change : atlas.palettes.attention);

// Layers by heads, and right of them the mean of each layer's heads.
function drawGrid(canvas, atlas, view, options) {
  const { cells, size: [layers, heads] } = atlas;
  const of = canvas.dataset.of;
  const [left, top] = [22, 18];
  const tile = (canvas.clientWidth - left) / (heads + 1.4);
  const leftOf = (column) => left + tile * column + (column === heads ? 0.4 * tile : 0);
  const context = prepare(canvas, top + tile * layers);
  canvas.geometry = { left, top, tile, layers, heads, leftOf };
  const gap = Math.max(1, Math.round(cells / 10));
  const pitch = cells + gap;
  const wide = (heads + 1) * pitch;
  const [own, ownContext, image] = scratch(canvas, wide, layers * pitch);
  const palette = paletteOf(atlas, of);
  const gone = [];
  for (let layer = 0; layer < layers; layer++) {
    for (let column = 0; column <= heads; column++) {
      const kind = column === heads ? "layer" : "head";
      const values = panel(atlas, view, options, of, kind, layer, column);
      if (!values) { gone.push([layer, column]); continue; }
      for (let row = 0; row < cells; row++) {
        let place = 4 * ((layer * pitch + row) * wide + column * pitch);
        for (let cell = 0; cell < cells; cell++, place += 4) {
          paint(image.data, place, palette[shade(of, values[row * cells + cell])]);
        }
      }
    }
  }
  ownContext.putImageData(image, 0, 0);
  const height = [layers * pitch, tile * layers];
  context.drawImage(own, 0, 0, heads * pitch, height[0], left, top, tile * heads, height[1]);
  context.drawImage(own, heads * pitch, 0, pitch, height[0], leftOf(heads), top, tile, height[1]);
  const inner = (tile * cells) / pitch;
  context.textAlign = "center";
  context.textBaseline = "middle";
  for (let head = 0; head < heads; head++) context.fillText(head + 1, leftOf(head) + inner / 2, top / 2);
  for (let layer = 0; layer < layers; layer++) context.fillText(layer + 1, left / 2, top + tile * layer + inner / 2);
  context.textAlign = "right";
  const whole = context.measureText("mean").width < 1.4 * tile;
  context.fillText(whole ? "mean" : "m", leftOf(heads) + inner, top / 2);
  context.strokeStyle = GONE;
  context.lineWidth = 1.5;
  for (const [layer, column] of gone) {
    const [x, y, arm] = [leftOf(column) + inner / 2, top + tile * layer + inner / 2, inner / 6];
    context.beginPath();
    context.moveTo(x - arm, y - arm);
    context.lineTo(x + arm, y + arm);
    context.moveTo(x + arm, y - arm);
    context.lineTo(x - arm, y + arm);
    context.stroke();
  }
  context.strokeStyle = FRAME;
  context.lineWidth = 2.5;
  const column = columnOf(view, heads);
  if (column !== null) {
    context.strokeRect(leftOf(column) - 1, top + tile * view.layer - 1, inner + 2, inner + 2);
  }
  const lost = gone.filter(([, one]) => one < heads).length;
  canvas.setAttribute("aria-label", `${canvas.parentElement.querySelector("figcaption").textContent}: ` +
    `attention of ${layers} layers by ${heads} heads, ${lost} of them left out. ` +
    `Chosen: ${title(view)}; the arrow keys choose another.`);
}

// Where the grid shows what is enlarged: a head's column, that of the means, or null.
const columnOf = (view, heads) => ({ head: view.head, layer: heads })[view.map] ?? null;

function drawHead(canvas, atlas, view, options) {
  const { cells } = atlas;
  const of = canvas.dataset.of;
  const values = panel(atlas, view, options, of, view.map, view.layer, view.head);
  const measure = canvas.getContext("2d");
  measure.font = "11px sans-serif";
  const labels = [...Array(cells).keys()].map((place) => label(atlas, place));
  const longest = Math.min(90, Math.max(...labels.map((text) => measure.measureText(text).width)));
  const [left, top] = [longest + 8, longest * 0.9 + 12];
  // The last column's slanted label needs room to its right.
  const cell = Math.min(30, (canvas.clientWidth - left - longest * 0.55 - 4) / cells);
  const context = prepare(canvas, values ? top + cell * cells + 2 : 60);
  canvas.geometry = values ? { left, top, cell, cells } : null;
  canvas.setAttribute("aria-label", values ? `${title(view)}: attention among ${atlas.tokens.length} tokens`
    : `${subject(view)} is not in this network`);
  if (!values) {
    context.textBaseline = "top";
    context.fillText(MISSING[of](subject(view)), 0, 8);
    return;
  }
  const [own, ownContext, image] = scratch(canvas, cells, cells);
  const palette = paletteOf(atlas, of);
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
  const palette = paletteOf(atlas, canvas.dataset.of);
  const image = context.createImageData(canvas.width, canvas.height);
  for (let x = 0; x < canvas.width; x++) {
    const value = canvas.dataset.of === "change" ? (2 * x) / (canvas.width - 1) - 1 : x / (canvas.width - 1);
    for (let y = 0; y < canvas.height; y++) {
      paint(image.data, 4 * (y * canvas.width + x), palette[shade(canvas.dataset.of, value)]);
    }
  }
  context.putImageData(image, 0, 0);
}

// Layer and column of the grid under the pointer; the column after the last head is that of the means.
function placeAt(canvas, event) {
  const { left, top, tile, layers, heads, leftOf } = canvas.geometry ?? {};
  const inMeans = event.offsetX >= leftOf?.(heads) && event.offsetX < leftOf?.(heads) + tile;
  const column = inMeans ? heads : Math.floor((event.offsetX - left) / tile);
  const layer = Math.floor((event.offsetY - top) / tile);
  const inside = column >= 0 && (column < heads || inMeans) && layer >= 0 && layer < layers;
  return inside ? [layer, column] : null;
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
