"use strict";
// Draws every chart in the colours of the page, and again when the reader switches between light and dark.
(() => {
  const drawings = JSON.parse(document.getElementById("figures").textContent);
  const config = { displayModeBar: false, responsive: true };

  const themed = (layout) => {
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(name).trim();
    const axis = { color: colour("--text"), gridcolor: colour("--line"), zerolinecolor: colour("--line") };
    const hoverlabel = { bgcolor: colour("--card"), bordercolor: colour("--line"), font: { color: colour("--text") } };
    const result = { ...layout, font: { ...layout.font, color: colour("--text") }, hoverlabel };
    for (const name of Object.keys(layout).filter((key) => /^[xy]axis\d*$/.test(key))) {
      result[name] = { ...layout[name], ...axis };
    }
    return result;
  };

  const draw = () => {
    for (const [place, { data, layout }] of Object.entries(drawings)) {
      Plotly.react(place, data, themed(layout), config);
    }
  };

  draw();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  // Paper is white and narrower than most windows; a chart keeps the colours and the width it was drawn with.
  const redraw = (paper) => {
    document.documentElement.classList.toggle("paper", paper);
    draw();
    Object.keys(drawings).forEach((place) => Plotly.Plots.resize(place));
  };
  addEventListener("beforeprint", () => redraw(true));
  addEventListener("afterprint", () => redraw(false));
})();
