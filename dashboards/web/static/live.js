// Puts the parts that the server renders in their places. Nothing is computed or formatted here.
"use strict";

const SILENT_MS = 15000; // the clock part changes every second: longer than this without any and we are not live

const status = document.getElementById("link-state");
let heard = 0;

function say(state) {
  if (!status || status.dataset.state === state) return;
  status.dataset.state = state;
  status.textContent = status.dataset[state];
  document.body.classList.toggle("lost", state === "lost");
}

// Changes `old` into `fresh` in place, so that focus, selection and open cards stay as they are.
function morph(old, fresh) {
  if (old.nodeType !== fresh.nodeType || old.nodeName !== fresh.nodeName || old.id !== fresh.id) {
    old.replaceWith(fresh.cloneNode(true));
    return;
  }
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.nodeValue !== fresh.nodeValue) old.nodeValue = fresh.nodeValue;
    return;
  }
  for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name)) old.removeAttribute(name);
  for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  children(old, fresh);
}

function children(old, fresh) {
  const before = [...old.childNodes];
  const after = [...fresh.childNodes];
  after.forEach((node, index) => (index < before.length ? morph(before[index], node) : old.append(node.cloneNode(true))));
  before.slice(after.length).forEach((node) => node.remove());
}

function put(parts) {
  for (const [id, html] of Object.entries(parts)) {
    const place = document.getElementById(id);
    if (!place) continue;
    const template = document.createElement("template");
    template.innerHTML = html;
    children(place, template.content);
  }
}

function listen(address) {
  say("connecting");
  const source = new EventSource(address);
  source.addEventListener("parts", (event) => {
    heard = Date.now();
    put(JSON.parse(event.data));
    say("live");
  });
  source.addEventListener("error", () => {
    say("lost");
    // The browser tries again by itself, unless the server refused: then we do.
    if (source.readyState === EventSource.CLOSED) setTimeout(() => listen(address), 3000);
  });
}

setInterval(() => {
  if (heard && Date.now() - heard > SILENT_MS) say("lost");
}, 1000);

if (document.body.dataset.stream) listen(document.body.dataset.stream);
