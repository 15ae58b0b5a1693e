// Saves a plotly chart of the page as a picture of its own: what plotly has drawn, on the page's
// background, with a caption below it. The chart is found by the class Streamlit gives to its key.

const [MARGIN, LINE, FONT] = [16, 16, 12];
const NAMESPACE = "http://www.w3.org/2000/svg";

export default function ({ data, parentElement }) {
  const root = parentElement.querySelector(".figure-saver");
  const said = root.querySelector(".said");
  for (const button of root.querySelectorAll("button")) {
    button.onclick = async () => {
      said.textContent = "";
      try {
        const picture = compose(chartOf(data.chart), data.caption, root);
        const kind = button.dataset.as;
        save(kind === "svg" ? asBlob(picture) : await asPng(picture), `${data.name}.${kind}`);
      } catch (error) {
        said.textContent = `The picture could not be made: ${error.message}`;
      }
    };
  }
}

function chartOf(key) {
  const plot = document.querySelector(`.st-key-${key.replace(/[^a-zA-Z0-9_-]/g, "-")} .js-plotly-plot`);
  if (!plot?.querySelector("svg.main-svg")) throw new Error("the chart has not been drawn yet.");
  return plot;
}

function compose(plot, caption, root) {
  const layers = [...plot.querySelectorAll("svg.main-svg")];
  const [width, height] = [layers[0].width.baseVal.value, layers[0].height.baseVal.value];
  const style = getComputedStyle(root);
  const colour = style.getPropertyValue("--st-text-color") || "#000000";
  const lines = wrap(caption, width - 2 * MARGIN);
  const whole = height + lines.length * LINE + MARGIN;
  const svg = element("svg", { width, height: whole, viewBox: `0 0 ${width} ${whole}`, role: "img" });
  svg.append(element("title", {}, caption.split("\n")[0]));
  svg.append(element("rect", {
    width: "100%", height: "100%", fill: style.getPropertyValue("--st-background-color") || "#ffffff",
  }));
  for (const layer of layers) {
    const copy = layer.cloneNode(true);
    // What only a pointer needs: tooltips, and areas to drag in.
    for (const extra of copy.querySelectorAll(".hoverlayer, .draglayer, .modebar")) extra.remove();
    copy.removeAttribute("class");
    copy.setAttribute("style", "background: none");
    svg.append(copy);
  }
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
