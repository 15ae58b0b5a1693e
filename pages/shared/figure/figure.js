// Saves a chart of the page as a picture of its own: what plotly has drawn, or the canvases of a component,
// on the page's background, with a caption below it. It is found by the class Streamlit gives to its key.

const [MARGIN, LINE, FONT] = [16, 16, 12];
const NAMESPACE = "http://www.w3.org/2000/svg";

export default function ({ data, parentElement }) {
  const root = parentElement.querySelector(".figure-saver");
  const said = root.querySelector(".said");
  for (const button of root.querySelectorAll("button")) {
    button.onclick = async () => {
      said.textContent = "";
      try {
        const picture = compose(drawingOf(data.chart), data.caption, root);
        const kind = button.dataset.as;
        save(kind === "svg" ? asBlob(picture) : await asPng(picture), `${data.name}.${kind}`);
      } catch (error) {
        said.textContent = `The picture could not be made: ${error.message}`;
      }
    };
  }
}

function drawingOf(key) {
  const place = document.querySelector(`.st-key-${key.replace(/[^a-zA-Z0-9_-]/g, "-")}`);
  const plot = place?.querySelector(".js-plotly-plot");
  if (plot?.querySelector("svg.main-svg")) return drawingOfPlot(plot);
  const shadow = [...(place?.querySelectorAll("*") ?? [])].find((one) => one.shadowRoot)?.shadowRoot;
  if (!shadow?.querySelector("canvas")) throw new Error("the chart has not been drawn yet.");
  return drawingOfCanvases(shadow);
}

function drawingOfPlot(plot) {
  const layers = [...plot.querySelectorAll("svg.main-svg")];
  const parts = layers.map((layer) => {
    const copy = layer.cloneNode(true);
    // What only a pointer needs: tooltips, and areas to drag in.
    for (const extra of copy.querySelectorAll(".hoverlayer, .draglayer, .modebar")) extra.remove();
    copy.removeAttribute("class");
    copy.setAttribute("style", "background: none");
    return copy;
  });
  return { parts, width: layers[0].width.baseVal.value, height: layers[0].height.baseVal.value };
}

// Canvases where they stand, and the headings and captions among them.
function drawingOfCanvases(shadow) {
  const whole = shadow.querySelector(".panels").parentElement.getBoundingClientRect();
  const colour = getComputedStyle(shadow.host).color;
  const place = (one) => {
    const { left, top, width, height } = one.getBoundingClientRect();
    return { x: left - whole.left, y: top - whole.top, width, height };
  };
  const shown = [...shadow.querySelectorAll(".panels canvas, .panels figcaption, h3")]
    .filter((one) => one.clientHeight);
  const first = Math.min(...shown.map((one) => place(one).y)) - MARGIN;
  const parts = shown.map((one) => {
    const { x, y, width, height } = place(one);
    if (one.tagName === "CANVAS") {
      return element("image", { x: x + MARGIN, y: y - first, width, height, href: one.toDataURL() });
    }
    return element("text", {
      x: x + MARGIN, y: y - first + height * 0.75, fill: colour, "font-family": "sans-serif",
      "font-size": one.tagName === "H3" ? 16 : 13, "font-weight": "bold",
    }, one.textContent);
  });
  const bottom = Math.max(...shown.map((one) => place(one).y + place(one).height));
  return { parts, width: Math.round(whole.width) + 2 * MARGIN, height: Math.round(bottom - first) + MARGIN };
}

function compose({ parts, width, height }, caption, root) {
  const style = getComputedStyle(root);
  const colour = style.getPropertyValue("--st-text-color") || "#000000";
  const lines = wrap(caption, width - 2 * MARGIN);
  const whole = height + lines.length * LINE + MARGIN;
  const svg = element("svg", { width, height: whole, viewBox: `0 0 ${width} ${whole}`, role: "img" });
  svg.append(element("title", {}, caption.split("\n")[0]));
  svg.append(element("rect", {
    width: "100%", height: "100%", fill: style.getPropertyValue("--st-background-color") || "#ffffff",
  }));
  svg.append(...parts);
  lines.forEach((line, number) => svg.append(element("text", {
    x: MARGIN, y: height + (number + 1) * LINE, fill: colour, "font-family": "sans-serif", "font-size": FONT,
  }, line)));
  return { svg, width, height: whole };
}

function element(name, attributes, text = "") {
  const made = document.createElementNS(NAMESPACE, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.textContent = text;
  return made;
}

// The caption in lines that fit.
function wrap(text, width) {
  const pen = document.createElement("canvas").getContext("2d");
  pen.font = `${FONT}px sans-serif`;
  const lines = [];
  for (const paragraph of text.split("\n")) {
    let line = "";
    for (const word of paragraph.split(" ")) {
      const longer = line ? `${line} ${word}` : word;
      if (line && pen.measureText(longer).width > width) {
        lines.push(line);
        line = word;
      } else line = longer;
    }
    lines.push(line);
  }
  return lines;
}

function asBlob({ svg }) {
  return new Blob([new XMLSerializer().serializeToString(svg)], { type: "image/svg+xml" });
}

async function asPng(picture) {
  const address = URL.createObjectURL(asBlob(picture));
  try {
    const image = new Image();
    image.src = address;
    await image.decode();
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [2 * picture.width, 2 * picture.height];
    canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
    return await new Promise((done, fail) => canvas.toBlob(
      (blob) => (blob ? done(blob) : fail(new Error("the browser made no picture."))), "image/png"));
  } finally {
    URL.revokeObjectURL(address);
  }
}

function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
