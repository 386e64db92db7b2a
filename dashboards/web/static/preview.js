// Keeps the preview of the mapping as the form stands. The server makes it; without this script its button does.
"use strict";

const form = document.getElementById("mapping");
let last = null;

// which fields a part of the form has, and which column's words they are
const asked = (part) =>
  [...part.querySelectorAll("[name]")].map((one) => one.name + (one.type === "hidden" ? one.value : "")).join("\n");

// the table is read in another way only by its button: the columns that are shown would not be those of the preview
const reads = (field) => field.dataset.reads !== undefined;
const otherwise = (field) =>
  field.options
    ? field.selectedIndex !== Math.max(0, [...field.options].findIndex((one) => one.defaultSelected))
    : field.value !== field.defaultValue;

async function refresh() {
  if ([...form.elements].some((one) => reads(one) && otherwise(one))) return;
  last?.abort();
  const mine = (last = new AbortController());
  const said = new URLSearchParams(new FormData(form));
  said.set("preview", "1");
  try {
    const answer = await fetch(form.action, { method: "POST", body: said, signal: mine.signal });
    if (!answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const found = page.querySelector("#preview > div");
    if (!found || mine.signal.aborted) return;
    // the button stays where it is: somebody may be pressing it
    document.querySelector("#preview > div").replaceChildren(...found.childNodes);
    // other columns of states and products have other words
    for (const part of ["words", "products"]) {
      const [here, there] = [document, page].map((one) => one.getElementById(part));
      if (asked(here) !== asked(there)) here.replaceChildren(...there.childNodes);
    }
  } catch {
    // given up for a newer one, or the page is left: the button makes it all the same
  }
}

form.addEventListener("change", (event) => {
  if (event.target.name !== "save_as") refresh();
});
if (!document.querySelector("#preview dl, #preview .fault")) refresh();
