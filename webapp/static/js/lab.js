// A lab page that keeps itself up to date: by server-sent events, or by asking again where these do not come.

import { addCopyButtons, makeScrollable, post, say } from "./site.js";

const page = document.querySelector("[data-lab]");
let version = page.dataset.version;
let busy = false;
let sending = false;
let timer = 0;

// Clocks run here between two messages. Each remembers when it was shown.

function startClocks(place) {
  for (const clock of place.querySelectorAll("[data-clock]")) clock.shown = performance.now();
}

function clockText(clock) {
  const passed = (performance.now() - clock.shown) / 1000;
  const seconds = Number(clock.dataset.seconds) + (clock.dataset.clock === "up" ? passed : -passed);
  if (clock.dataset.clock === "up") return seconds < 10 ? `${seconds.toFixed(1)} s` : minutes(seconds);
  const left = Math.max(0, Math.floor(seconds));
  const two = (number) => String(number).padStart(2, "0");
  const hours = Math.floor(left / 3600);
  const rest = `${two(Math.floor((left % 3600) / 60))}:${two(left % 60)}`;
  return hours ? `${hours}:${rest}` : rest.replace(/^0/, "");
}

function minutes(seconds) {
  return seconds < 90 ? `${Math.round(seconds)} s` : `${Math.round(seconds / 60)} min`;
}

function tick() {
  for (const clock of document.querySelectorAll("[data-clock]")) {
    const text = clockText(clock);
    if (clock.textContent !== text) clock.textContent = text;
  }
}

// Showing a change: only fragments that differ are replaced; focus, open details and what was chosen stay as they were.

function keyOf(element) {
  const form = element.closest("form");
  return [form?.action || "", element.name || "", element.value || "", element.tagName, element.href || ""].join("|");
}

function show(change) {
  busy = change.busy;
  if (change.version === version) return;
  version = change.version;
  for (const [name, html] of Object.entries(change.html)) {
    const place = page.querySelector(`[data-fragment="${name}"]`);
    if (!place || place.dataset.shown === html) continue; // a lab that was changed meanwhile may have more parts
    place.dataset.shown = html;
    const chosen = [...place.querySelectorAll("input:checked")].map((one) => [one.name, one.value].join("|"));
    const focused = place.contains(document.activeElement) ? keyOf(document.activeElement) : null;
    const opened = [...place.querySelectorAll("details")].map((one) => one.open);
    place.innerHTML = html;
    place.querySelectorAll("details").forEach((one, index) => (one.open = opened[index] ?? one.open));
    for (const one of place.querySelectorAll("input[type=radio]")) {
      if (!one.disabled && chosen.includes([one.name, one.value].join("|"))) one.checked = true;
    }
    addCopyButtons(place);
    makeScrollable(place);
    startClocks(place);
    if (focused !== null) {
      const same = [...place.querySelectorAll("button, a, input, summary, select")].find((one) => keyOf(one) === focused);
      (same && !same.disabled ? same : place).focus({ preventScroll: true });
    }
  }
  say(change.say);
}

// Hearing of changes

async function ask() {
  clearTimeout(timer);
  try {
    const answer = await fetch(page.dataset.stateUrl, { headers: { Accept: "application/json" } });
    if (answer.status === 401) return location.reload();
    if (answer.ok) show(await answer.json());
  } catch {
    // the site is away for a moment: ask again
  }
  timer = setTimeout(ask, busy ? 700 : 4000);
}

function listen() {
  if (!("EventSource" in window)) return ask();
  const events = new EventSource(page.dataset.eventsUrl);
  events.addEventListener("change", (event) => {
    clearTimeout(timer);
    timer = 0;
    show(JSON.parse(event.data));
  });
  events.addEventListener("error", () => {
    if (events.readyState === EventSource.CLOSED) ask(); // refused (too many, signed out): ask instead
    else if (!timer) timer = setTimeout(ask, 3000); // it comes back by itself; until then, ask
  });
  addEventListener("pagehide", () => events.close());
}

// Doing something

function complain(form, error) {
  const section = form.closest("[data-fragment]");
  section.querySelector(".just-now")?.remove();
  const note = document.createElement("div");
  note.className = "error-note just-now";
  note.setAttribute("role", "alert");
  const text = document.createElement("p");
  text.textContent = error.message;
  note.append(text);
  if (error.fix) {
    const command = document.createElement("div");
    command.className = "command";
    const pre = document.createElement("pre");
    pre.className = "command-text";
    const code = document.createElement("code");
    code.textContent = error.fix;
    pre.append(code);
    command.append(pre);
    note.append(command);
    addCopyButtons(note);
  }
  section.querySelector(".panel-head").after(note);
}

document.addEventListener("submit", async (event) => {
  const form = event.target.closest("[data-act]");
  if (!form || event.defaultPrevented) return;
  event.preventDefault();
  if (sending || (form.dataset.sure && !confirm(form.dataset.sure))) return;
  sending = true;
  const section = form.closest("[data-fragment]").id;
  const button = event.submitter || form.querySelector("button");
  button.setAttribute("aria-busy", "true");
  try {
    show(await post(form, button));
    page.querySelector(`#${section}`).scrollIntoView({ block: "nearest" });
  } catch (error) {
    complain(form, error);
  } finally {
    sending = false;
    button.removeAttribute("aria-busy");
  }
});

startClocks(page);
setInterval(tick, 250);
listen();
