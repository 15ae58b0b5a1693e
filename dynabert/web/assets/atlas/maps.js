// What there is to see: unpacking the maps of all sub-networks of a text (see
// dynabert/analysis/map_atlas.py for the bytes), and what is made of them. Nothing here draws.

const PROBABILITY = Float32Array.from({ length: 256 }, (_, byte) => (byte / 255) ** 2);

function unpack(data) {
  const bytes = new Uint8Array(data.buffer ?? data, data.byteOffset ?? 0, data.byteLength);
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
  const atlas = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + length)));
  const body = bytes.subarray(4 + length);
  const area = atlas.cells * atlas.cells;
  atlas.bytesOf = (number) => body.subarray(number * area, (number + 1) * area);
  // Of every sub-network: from "layer,head" to the number of its map.
  atlas.maps = atlas.places.map((places, number) => new Map(
    places.map(([layer, head], place) => [`${layer},${head}`, atlas.numbers[number][place]]),
  ));
  atlas.made = new Map(); // averages and rollouts so far
  return atlas;
}

const number = (atlas, width, depth) => depth * atlas.width_mults.length + width;
const current = (atlas, view) => number(atlas, view.width, view.depth);
const whole = (atlas) => atlas.maps.length - 1;

const decode = (bytes) => Float32Array.from(bytes, (byte) => PROBABILITY[byte]);

// The probabilities of one head, of a layer's or network's average, or the rollout, as the
// sub-network of that number has them; null where it has no such thing.
function probabilities(atlas, number, kind, layer, head) {
  if (kind === "head") {
    const found = atlas.maps[number].get(`${layer},${head}`);
    return found === undefined ? null : decode(atlas.bytesOf(found));
  }
  const key = `${number} ${kind} ${kind === "layer" ? layer : ""}`;
  if (!atlas.made.has(key)) atlas.made.set(key, make(atlas, number, kind, layer));
  return atlas.made.get(key);
}

// The same as dynabert/analysis/rollout.py.
function make(atlas, number, kind, layer) {
  const sent = atlas.averages?.[number]; // of a long text, whose merged cells cannot be averaged
  if (sent) {
    const found = kind === "layer" ? sent.layers[layer] : sent[kind];
    return found === undefined ? null : decode(atlas.bytesOf(found));
  }
  const numbers = (wanted) => atlas.places[number].flatMap(
    ([one], place) => (wanted === undefined || one === wanted ? [atlas.numbers[number][place]] : []));
  if (kind === "layer") return mean(atlas, numbers(layer));
  if (kind === "network") return mean(atlas, numbers());
  return rollout(atlas, layersOf(atlas, number).map((one) => mean(atlas, numbers(one))));
}

const layersOf = (atlas, number) =>
  [...new Set(atlas.places[number].map(([layer]) => layer))].sort((a, b) => a - b);

function mean(atlas, numbers) {
  if (!numbers.length) return null;
  const total = new Float32Array(atlas.cells * atlas.cells);
  for (const one of numbers) {
    const bytes = atlas.bytesOf(one);
    for (let place = 0; place < total.length; place++) total[place] += PROBABILITY[bytes[place]];
  }
  return total.map((sum) => sum / numbers.length);
}

// Half of each layer's average and half of what came; rows sum to 1 in spite of rounding.
function rollout(atlas, averages) {
  const { cells } = atlas;
  let flow = null;
  for (const average of averages) {
    const step = average.map((value, place) => 0.5 * value + (place % (cells + 1) ? 0 : 0.5));
    for (let row = 0; row < cells; row++) {
      const values = step.subarray(row * cells, (row + 1) * cells);
      const sum = values.reduce((one, two) => one + two, 0);
      values.forEach((value, column) => { values[column] = value / sum; });
    }
    flow = flow ? product(step, flow, cells) : step;
  }
  return flow;
}

function product(first, second, cells) {
  const out = new Float32Array(cells * cells);
  for (let row = 0; row < cells; row++) {
    for (let inner = 0; inner < cells; inner++) {
      const factor = first[row * cells + inner];
      for (let column = 0; column < cells; column++) {
        out[row * cells + column] += factor * second[inner * cells + column];
      }
    }
  }
  return out;
}

// Probabilities as the visitor wants to see them.
function shown(atlas, values, options) {
  if (!values) return null;
  const { cells } = atlas;
  const out = new Float32Array(cells * cells);
  for (let row = 0; row < cells; row++) {
    if (options.hide && atlas.special[row]) continue;
    let sum = 0;
    for (let column = 0; column < cells; column++) {
      if (options.hide && atlas.special[column]) continue;
      const value = values[row * cells + column];
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

// What a panel shows: probabilities, their difference, or null.
function panel(atlas, view, options, of, kind, layer, head) {
  const values = (number, how) => shown(atlas, probabilities(atlas, number, kind, layer, head), how);
  if (of === "full") return values(whole(atlas), options);
  if (of === "small") return values(current(atlas, view), options);
  // The difference of what there is, hidden where the difference itself is small.
  const plain = { ...options, threshold: 0 };
  const [full, small] = [values(whole(atlas), plain), values(current(atlas, view), plain)];
  if (!small || !full) return null;
  return small.map((value, place) => {
    const change = value - full[place];
    return Math.abs(change) < options.threshold ? 0 : change;
  });
}

function label(atlas, place) {
  const first = place * atlas.block;
  const last = Math.min(first + atlas.block, atlas.tokens.length) - 1;
  return first === last ? atlas.tokens[first] : `${atlas.tokens[first]} … ${atlas.tokens[last]}`;
}
