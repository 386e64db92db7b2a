// Keeps the preview of the mapping as the form stands. The server makes it; without this script its button does.
"use strict";

const form = document.getElementById("mapping");
let last = null;

async function refresh() {
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
    // another column of states has other words
    const asked = page.querySelector("[name=words_of]");
    if (asked.value !== form.elements.words_of.value) {
      document.getElementById("words").replaceChildren(...page.getElementById("words").childNodes);
    }
  } catch {
    // given up for a newer one, or the page is left: the button makes it all the same
  }
}

form.addEventListener("change", (event) => {
  if (event.target.name !== "save_as") refresh();
});
if (!document.querySelector("#preview dl, #preview .fault")) refresh();
