showAtlas({ data, parentElement: place, setStateValue: () => {} });
// Text on a canvas has the colour it was drawn with.
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => place.querySelector(".atlas").redraw());
