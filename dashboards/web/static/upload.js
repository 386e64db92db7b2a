// Sends a file as it is, and shows how much has arrived. What is wrong with a file is said by the server.
"use strict";

const form = document.getElementById("upload");
const progress = document.getElementById("progress");
const told = document.getElementById("told");

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const [file] = form.elements.file.files;
  const button = form.querySelector("button");
  const request = new XMLHttpRequest(); // fetch tells nothing of what was sent
  request.open("POST", `/api/v1/diagnoses?${new URLSearchParams({ name: file.name, lang: form.dataset.lang })}`);
  request.setRequestHeader("Content-Type", "application/octet-stream");
  if (form.dataset.csrf) request.setRequestHeader("X-CSRF-Token", form.dataset.csrf);
  request.upload.addEventListener("progress", ({ loaded, total }) => {
    progress.value = total ? loaded / total : 0;
    if (total) told.textContent = `${Math.floor((100 * loaded) / total)} %`;
  });
  const fail = (sentence) => {
    told.textContent = sentence;
    told.className = "fault";
    progress.hidden = true;
    button.disabled = false;
  };
  request.addEventListener("error", () => fail(form.dataset.failed));
  request.addEventListener("load", () => {
    let answer = {};
    try {
      answer = JSON.parse(request.responseText);
    } catch {
      // not JSON: a proxy between us, whose words are not ours
    }
    if (request.status === 201) location.assign(`/diagnoses/${answer.id}`);
    else fail(answer.detail || form.dataset.failed);
  });
  told.textContent = "";
  progress.hidden = false;
  progress.value = 0;
  button.disabled = true;
  request.send(file);
});
