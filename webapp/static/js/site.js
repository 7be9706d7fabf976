// What every page does with script: theme, copying commands, answering a quiz in place. Without script all of it works
// by forms, but for copying.

const root = document.documentElement;

export function say(text) {
  const live = document.getElementById("live");
  if (text && live.textContent !== text) live.textContent = text;
}

export async function post(form, button) {
  const data = new FormData(form);
  if (button?.name) data.append(button.name, button.value);
  const token = document.querySelector('meta[name="csrf-token"]').content;
  const answer = await fetch(form.action, {
    method: "POST",
    body: data,
    headers: { Accept: "application/json", "X-CSRFToken": token },
  });
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok) throw Object.assign(new Error(body.error || "That did not work. Try again."), { fix: body.fix || "" });
  return body;
}

// Theme

function isDark() {
  const chosen = root.dataset.theme;
  return chosen === "dark" || (chosen === "auto" && matchMedia("(prefers-color-scheme: dark)").matches);
}

document.querySelector("[data-theme-form]")?.addEventListener("submit", (event) => {
  event.preventDefault();
  const next = isDark() ? "light" : "dark";
  root.dataset.theme = next;
  const secure = location.protocol === "https:";
  document.cookie = `${secure ? "__Host-" : ""}theme=${next}; path=/; max-age=31536000; samesite=lax${secure ? "; secure" : ""}`;
  say(`The page is now ${next}.`);
});

// Copying: of a session in a terminal only the commands are taken, without prompt and output.

function commandsOf(block) {
  const text = block.querySelector("code").innerText.replace(/\n$/, "");
  const lines = text.split("\n");
  if (!lines.some((line) => line.startsWith("$ "))) return text;
  const taken = [];
  let going = false;
  for (const line of lines) {
    if (line.startsWith("$ ")) taken.push(line.slice(2));
    else if (going) taken.push(line);
    going = (line.startsWith("$ ") || going) && line.endsWith("\\");
  }
  return taken.join("\n");
}

export function addCopyButtons(place) {
  for (const block of place.querySelectorAll(".command, .prose .code")) {
    if (block.querySelector(".copy")) continue;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "copy";
    button.textContent = "Copy";
    button.setAttribute("aria-label", `Copy: ${commandsOf(block).split("\n")[0]}`);
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(commandsOf(block));
        button.textContent = "Copied";
        say("Copied.");
      } catch {
        getSelection().selectAllChildren(block.querySelector("code"));
        say("Could not copy by itself; the text is selected.");
      }
      setTimeout(() => (button.textContent = "Copy"), 1600);
    });
    block.append(button);
  }
}

// Long code must be reachable by keyboard to be scrolled.
export function makeScrollable(place) {
  for (const pre of place.querySelectorAll("pre, .table-scroll, .drawing")) {
    if (pre.scrollWidth > pre.clientWidth) pre.tabIndex = 0;
  }
}

// Quiz

function complain(form, text) {
  form.querySelector(".just-now")?.remove();
  const note = document.createElement("p");
  note.className = "error-note just-now";
  note.setAttribute("role", "alert");
  note.textContent = text;
  form.append(note);
}

document.addEventListener("submit", async (event) => {
  const form = event.target.closest("[data-question]");
  if (!form) return;
  event.preventDefault();
  const place = form.closest(".question");
  try {
    const body = await post(form);
    place.innerHTML = body.html;
    place.querySelector("button[type=submit]").focus();
    say([body.say, ...[...place.querySelectorAll(".because")].map((one) => one.textContent)].join(" "));
  } catch (error) {
    say(error.message);
    complain(form, error.message); // what was chosen stays chosen
    form.querySelector("input").focus();
  }
});

// The account's menu closes when something else is used.

const menu = document.querySelector(".menu");
if (menu) {
  document.addEventListener("click", (event) => {
    if (!menu.contains(event.target)) menu.open = false;
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && menu.open) {
      menu.open = false;
      menu.querySelector("summary").focus();
    }
  });
}

// Passwords can be looked at while they are typed.

for (const input of document.querySelectorAll("input[type=password]")) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "show-password";
  button.textContent = "Show";
  button.setAttribute("aria-pressed", "false");
  button.setAttribute("aria-label", "Show what is typed");
  button.setAttribute("aria-controls", input.id);
  button.addEventListener("click", () => {
    const shown = input.type === "text";
    input.type = shown ? "password" : "text";
    button.textContent = shown ? "Show" : "Hide";
    button.setAttribute("aria-pressed", String(!shown));
  });
  input.form?.addEventListener("submit", () => (input.type = "password"));
  input.after(button);
}

addCopyButtons(document);
makeScrollable(document);
