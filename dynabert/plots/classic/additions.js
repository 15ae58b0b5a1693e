// What BertViz's scripts are made to call, see bertviz_scripts.py; and, instead of require.js, the two
// libraries that they ask for, which stand in the document before this.
"use strict";

window.require = window.requirejs = (names, run) => {
  const known = { jquery: window.jQuery, d3: window.d3 };
  run(...names.map((name) => known[name]));
};
window.require.config = () => {};

window.dynabert = (() => {
  const COLOURS = 12;
  const SQUARE = 17;
  const WIDE = { model: 970, neuron: 1010 };
  const SMALLEST = 0.65; // of BertViz's size; from there on the picture scrolls
  const paint = (name) => `var(--${name})`;
  const colour = (number) => paint(`colour-${number % COLOURS}`);

  // Make a wide picture fit into a narrower frame.
  function fit() {
    const width = WIDE[document.body.className];
    const room = document.documentElement.clientWidth - 16;
    const scale = width ? Math.min(1, Math.max(SMALLEST, room / width)) : 1;
    document.getElementById("vis").style.zoom = scale;
  }
  fit();
  window.addEventListener("resize", fit);

  // Head view: which heads the layer that is shown has.
  const headsThere = (params, config) => [...params.kept[config.layer_seq ?? 0]];

  // In another layer the chosen heads stay chosen, as far as it has them; all stay all.
  function keepHeads(params, config) {
    const there = headsThere(params, config);
    const all = !config.kept || config.kept.every((is, head) => !is || config.headVis[head]);
    const chosen = there.map((is, head) => is && (all || config.headVis[head]));
    config.headVis = chosen.includes(true) ? chosen : [...there];
    config.kept = there;
  }

  // Head view: a square for each head, with its number, for the keyboard too.
  function paintHeads(d3, container, config) {
    const { kept } = config;
    container.selectAll("rect")
      .attr("y", 1).attr("width", SQUARE).attr("height", SQUARE)
      .attr("fill", (on, head) => (on ? colour(head) : paint("background")))
      .attr("stroke", (on, head) => (kept[head] ? colour(head) : paint("muted")))
      .attr("stroke-width", (on, head) => (kept[head] ? 1.5 : 1))
      .attr("stroke-dasharray", (on, head) => (kept[head] ? null : "2 2"))
      .style("pointer-events", (on, head) => (kept[head] ? null : "none"))
      .attr("role", (on, head) => (kept[head] ? "button" : "img"))
      .attr("tabindex", (on, head) => (kept[head] ? 0 : null))
      .attr("aria-pressed", (on, head) => (kept[head] ? String(on) : null))
      .attr("aria-label", (on, head) => `Head ${head + 1}${kept[head] ? "" : ", not in this layer"}`)
      .on("keydown", function () {
        if (d3.event.key !== "Enter" && d3.event.key !== " ") return;
        d3.event.preventDefault();
        this.dispatchEvent(new MouseEvent("click"));
      });
    const numbers = container.selectAll("text").data(config.headVis);
    numbers.enter().append("text")
      .text((on, head) => head + 1)
      .attr("x", (on, head) => 20 * head + SQUARE / 2).attr("y", 1 + SQUARE / 2)
      .attr("text-anchor", "middle").attr("dominant-baseline", "central").attr("font-size", "10px").attr("font-weight", "bold")
      .style("pointer-events", "none").attr("aria-hidden", "true")
      .merge(numbers)
      .style("fill", (on, head) => paint(on ? "background" : kept[head] ? "text" : "muted"));
  }

  // Model view: a head that the layer does not have.
  function crossOut(config, x, y) {
    const [middle, centre] = [x + config.thumbnailWidth / 2, y + config.thumbnailHeight / 2];
    const cross = config.svg.append("g").classed("gone", true).attr("stroke", paint("muted"));
    for (const rise of [-1, 1]) {
      cross.append("line").attr("x1", middle - 6).attr("x2", middle + 6)
        .attr("y1", centre - 6 * rise).attr("y2", centre + 6 * rise);
    }
  }

  // Neuron view: a pair's tokens, all and by text ("ab": from the first to the second).
  function parts(params) {
    const { tokens, attn, queries, keys } = params.attention;
    const { second } = params;
    const cut = {
      all: (list) => list, a: (list) => list.slice(0, second), b: (list) => list.slice(second),
    };
    const part = (from, to) => ({
      left_text: from(tokens),
      right_text: to(tokens),
      attn: attn.map((heads) => heads.map((matrix) => from(matrix).map(to))),
      queries: queries.map((heads) => heads.map(from)),
      keys: keys.map((heads) => heads.map(to)),
    });
    const found = { all: part(cut.all, cut.all) };
    if (second === null) return found;
    for (const from of "ab") for (const to of "ab") found[from + to] = part(cut[from], cut[to]);
    return found;
  }

  // Neuron view: the heads of the chosen layer; the one shown stays, if the layer has it.
  function offerHeads(select, $, params, config) {
    const heads = params.heads[config.layer];
    const number = (config.offered ?? heads)[config.head];
    config.offered = heads;
    config.head = Math.max(heads.indexOf(number), 0);
    select.empty();
    heads.forEach((head, place) => select.append($("<option />").val(place).text(head)));
    select.val(config.head);
  }

  return { colour, paint, headsThere, keepHeads, paintHeads, crossOut, parts, offerHeads };
})();
