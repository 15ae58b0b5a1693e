// The page's data, which stand in it compressed, and where the component is.
const place = document.getElementById("place");
const data = await (async () => {
  try {
    const packed = Uint8Array.from(atob(document.getElementById("data").textContent), (one) => one.charCodeAt(0));
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  } catch (error) {
    const trouble = document.getElementById("trouble");
    trouble.textContent = `The data in this page cannot be read (${error.message}). It needs a browser of 2023 or later.`;
    trouble.hidden = false;
    throw error;
  }
})();
