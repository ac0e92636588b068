// Each picture is already on the page as a drawing; here it becomes one that follows the width and answers the pointer.
(() => {
  const specs = JSON.parse(document.getElementById("charts").textContent);
  const tooltip = { id: "vg-tooltip-element", disableDefaultStyle: true, theme: "ethogram" };
  for (const [id, spec] of Object.entries(specs)) {
    const place = document.getElementById(id);
    const drawing = place.innerHTML;
    vegaEmbed(place, { ...spec, width: "container", autosize: { type: "fit-x", contains: "padding" } },
      { mode: "vega-lite", renderer: "svg", actions: false, tooltip })
      .catch((error) => { place.innerHTML = drawing; console.error(id, error); });
  }
})();
