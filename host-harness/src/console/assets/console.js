// What the pages do better with a script. Without it everything works by its forms.
"use strict";

document.documentElement.classList.add("scripted");

// Switches that need no button.
for (const form of document.querySelectorAll("form[data-autosubmit]")) {
  form.addEventListener("change", () => form.submit());
}

// Times in the viewer's zone.
const show_times = (place) => {
  for (const time of place.querySelectorAll("time[datetime]")) {
    const at = new Date(time.dateTime);
    if (!Number.isNaN(at.getTime())) {
      time.title = time.dateTime;
      time.textContent = at.toLocaleString(document.documentElement.lang);
    }
  }
};
show_times(document);

// What changes by itself, while somebody can see it and nobody is in it.
const live = document.querySelector("[data-live]");
if (live) {
  let is_asking = false;
  const look = async () => {
    if (document.hidden || is_asking || live.contains(document.activeElement)) return;
    is_asking = true;
    try {
      const answer = await fetch(location.href);
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const now = page.getElementById("live");
      if (answer.ok && now) {
        show_times(now);
        live.replaceChildren(...now.childNodes);
      }
    } finally {
      is_asking = false;
    }
  };
  setInterval(() => look().catch(() => {}), 2000);
}

// Texts to copy.
for (const text of document.querySelectorAll("pre[data-copy]")) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "quiet copy";
  button.textContent = text.dataset.copy;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(text.querySelector("code").textContent);
    button.textContent = "✓";
  });
  text.append(button);
}

// The panel of a rule: only what its mode has, and the example as it is typed.
const panel = document.querySelector("form.rule");
if (panel) {
  const show = () => {
    const mode = panel.querySelector("[name='Redirect/RedirectType']:checked");
    panel.dataset.mode = mode && mode.value === "Mirror" ? "mirror" : "redirect";
  };
  let turn = 0;
  let timer;
  const tell = async () => {
    const mine = ++turn;
    const body = new URLSearchParams(new FormData(panel));
    const answer = await fetch(panel.dataset.told, { method: "POST", body });
    const text = await answer.text();
    if (answer.ok && mine === turn) {
      const told = new DOMParser().parseFromString(text, "text/html");
      document.getElementById("told").replaceChildren(...told.body.childNodes);
    }
  };
  panel.addEventListener("input", () => {
    show();
    clearTimeout(timer);
    timer = setTimeout(() => tell().catch(() => {}), 200);
  });
  show();
  // Rows that nobody has filled in are not sent.
  panel.addEventListener("submit", () => {
    for (const field of panel.querySelectorAll("input[type='text'], input[type='password'], input:not([type])")) {
      if (field.value === "" && /\/\d+\//.test(field.name) && !field.placeholder) field.disabled = true;
    }
  });
  window.addEventListener("pageshow", () => {
    for (const field of panel.querySelectorAll(":disabled")) field.disabled = false;
  });
}

// Rules that are dragged go by the form of the buttons.
const table = document.querySelector("table[data-order]");
if (table) {
  let dragged;
  for (const row of table.querySelectorAll("tbody tr[data-number]")) {
    if (!row.querySelector("form")) continue;
    row.draggable = true;
    row.addEventListener("dragstart", (event) => {
      dragged = row;
      event.dataTransfer.effectAllowed = "move";
      event.dataTransfer.setData("text/plain", row.dataset.number);
    });
    row.addEventListener("dragover", (event) => {
      if (dragged && dragged !== row) {
        event.preventDefault();
        row.classList.add("target");
      }
    });
    row.addEventListener("dragleave", () => row.classList.remove("target"));
    row.addEventListener("dragend", () => { dragged = undefined; });
    row.addEventListener("drop", (event) => {
      event.preventDefault();
      row.classList.remove("target");
      if (!dragged || dragged === row) return;
      const form = dragged.querySelector("form");
      const by = document.createElement("input");
      by.type = "hidden";
      by.name = "by";
      by.value = row.dataset.number;
      form.append(by);
      form.submit();
    });
  }
}
