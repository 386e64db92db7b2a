// Sends a network measurement, and keeps what is filled in below: only its card changes. Without a file, or without this
// script, the form is an ordinary one.
"use strict";

async function fresh(card) {
  const answer = await fetch(location.pathname + "?again=true", { headers: { Accept: "text/html" } });
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const found = page.getElementById("recording");
  if (!answer.ok || !found) return location.assign(location.pathname + "?again=true#recording");
  card.replaceChildren(...found.childNodes);
  card.querySelector("select").focus();
}

function send(form, file, card) {
  const progress = form.querySelector("progress");
  const told = form.querySelector("output");
  const { upload, lang, csrf, failed } = form.dataset;
  const request = new XMLHttpRequest(); // fetch tells nothing of what was sent
  const query = new URLSearchParams({ name: file.name, use_case: form.elements.use_case.value, lang });
  request.open("PUT", `${upload}?${query}`);
  request.setRequestHeader("Content-Type", "application/octet-stream");
  if (csrf) request.setRequestHeader("X-CSRF-Token", csrf);
  request.upload.addEventListener("progress", ({ loaded, total }) => {
    progress.value = total ? loaded / total : 0;
  });
  const fail = (sentence) => {
    told.textContent = sentence;
    told.className = "fault";
    progress.hidden = true;
    for (const button of form.querySelectorAll("button")) button.disabled = false;
  };
  request.addEventListener("error", () => fail(failed));
  request.addEventListener("load", () => {
    if (request.status === 200) return fresh(card);
    let answer = {};
    try {
      answer = JSON.parse(request.responseText);
    } catch {
      // not JSON: a proxy between us, whose words are not ours
    }
    fail(answer.detail || failed);
  });
  told.textContent = "";
  progress.hidden = false;
  for (const button of form.querySelectorAll("button")) button.disabled = true;
  request.send(file);
}

document.getElementById("recording").addEventListener("submit", async (event) => {
  const form = event.target;
  const card = event.currentTarget;
  event.preventDefault();
  const [file] = form.querySelector("input[type=file]").files;
  if (file && event.submitter?.name !== "drop") return send(form, file, card);
  const said = new URLSearchParams({ csrf: form.dataset.csrf, use_case: form.elements.use_case.value });
  if (event.submitter?.name === "drop") said.set("drop", "1");
  const answer = await fetch(form.action, { method: "POST", body: said });
  if (answer.ok) return fresh(card);
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  form.querySelector("output").textContent = page.querySelector("main .note")?.textContent || form.dataset.failed;
});
