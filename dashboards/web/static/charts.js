// Draws the charts that the server describes (Vega-Lite), in the colours of the page. Nothing is computed here: the
// figures of each chart stand in the table beside it, so the page reads without this script too.
"use strict";

const dark = matchMedia("(prefers-color-scheme: dark)");
const print = matchMedia("print");

async function draw(place) {
  try {
    const address = new URL(place.dataset.chart, location.href);
    address.searchParams.set("dark", dark.matches && !print.matches);
    const answer = await fetch(address, { headers: { Accept: "application/json" } });
    if (!answer.ok) throw new Error(`${answer.status}`);
    const { spec, locale } = await answer.json();
    // the interpreter (`ast`) evaluates expressions without building code, which the page's policy forbids
    await window.vegaEmbed(place, spec, {
      ast: true,
      actions: false,
      renderer: "svg",
      defaultStyle: false,
      tooltip: { disableDefaultStyle: true },
      formatLocale: locale.number,
      timeFormatLocale: locale.time,
      loader: { http: { credentials: "omit" } },
    });
    place.dataset.drawn = "";
  } catch (error) {
    place.textContent = place.dataset.failed;
    place.classList.add("vega-failed");
    console.error(error);
  }
}

const places = [...document.querySelectorAll("[data-chart]")];
for (const place of places) draw(place);
dark.addEventListener("change", () => places.forEach(draw));
