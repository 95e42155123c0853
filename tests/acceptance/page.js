// The page's search, links and folds. Without it the page can still be read.
"use strict";

const root = document.documentElement;
const field = document.getElementById("words");
const deep = document.getElementById("deep");
const output = document.getElementById("number");
const unfoldAll = document.getElementById("unfold");
const notice = document.getElementById("notice");
const moreButtons = [...document.querySelectorAll(".more")];
const everythingButtons = [...document.querySelectorAll(".everything")];
const groups = [...document.querySelectorAll("[data-group]")];
const FEW = 25; // as many scenarios are unfolded when they are found
let index;
let placeBefore = 0; // how far the whole page was scrolled before it was filtered

root.classList.add("js");

// Folds

function showProof(row, shown) {
  row.querySelector("button").setAttribute("aria-expanded", String(shown));
  row.nextElementSibling.classList.toggle("shown", shown);
}

function outlineRows(within) {
  return [...within.querySelectorAll("tr[data-scenario]")];
}

function unfold(within, { exchanges }) {
  for (const details of within.querySelectorAll("details")) {
    if (exchanges || !details.classList.contains("exchange")) details.open = true;
  }
  if (exchanges) outlineRows(within).forEach((row) => showProof(row, true));
}

function foldAll() {
  document.querySelectorAll("details[open]").forEach((details) => { details.open = false; });
  outlineRows(document).forEach((row) => showProof(row, false));
}

/** Open all that hides the element, and the element itself. */
function reveal(element) {
  for (let around = element; around; around = around.parentElement) {
    if (around.tagName === "DETAILS") around.open = true;
  }
  if (element.matches("article, section.rule")) element.querySelector("details")?.setAttribute("open", "");
  if (element.matches(".rule")) element.closest("details").open = true;
  if (element.matches("tr[data-scenario]")) showProof(element, true);
}

document.addEventListener("click", (event) => {
  const button = event.target.closest(".result button");
  if (button) showProof(button.closest("tr"), button.getAttribute("aria-expanded") === "false");
});

unfoldAll.addEventListener("click", () => {
  const all = unfoldAll.getAttribute("aria-pressed") === "false";
  unfoldAll.setAttribute("aria-pressed", String(all));
  unfoldAll.textContent = all ? "Fold all" : "Unfold all";
  if (all) unfold(document, { exchanges: true });
  else foldAll();
});

// Paper has nothing to click on. Requests and answers are printed where they are unfolded.
let folded = [];
addEventListener("beforeprint", () => {
  folded = [...document.querySelectorAll("details:not([open]):not(.exchange)")];
  folded.forEach((details) => { details.open = true; });
});
addEventListener("afterprint", () => folded.forEach((details) => { details.open = false; }));

// Search

function contextOf(element) {
  const words = [];
  for (let around = element; around; around = around.parentElement) words.push(around.dataset.words ?? "");
  return words.join(" ");
}

function read(item) {
  const scenario = item.matches("article");
  const parts = scenario ? [...item.querySelectorAll(".t")] : [item];
  const proof = item.matches("tr[data-scenario]") ? item.nextElementSibling : item;
  return {
    item,
    text: `${contextOf(item)} ${parts.map((part) => part.textContent).join(" ")}`.toLowerCase(),
    exchanges: [...proof.querySelectorAll(".exchange")].map((part) => part.textContent).join(" ").toLowerCase(),
  };
}

function setShown(item, shown) {
  item.hidden = !shown;
  if (item.matches("tr[data-scenario]")) item.nextElementSibling.hidden = !shown;
}

function plural(number, noun, nouns) {
  return `${number} ${number === 1 ? noun : nouns}`;
}

function notify(text) {
  notice.hidden = !text;
  notice.firstElementChild.textContent = text;
}

/** Offer what is found in requests and answers alone. */
function offer(more) {
  for (const button of moreButtons) {
    button.hidden = !more;
    button.textContent = `${more} more in requests and answers`;
  }
}

function search() {
  index ??= [...document.querySelectorAll("[data-item]")].map(read);
  const words = field.value.toLowerCase().split(/\s+/).map((word) => word.replace(/^@/, "")).filter(Boolean);
  const inText = (entry) => words.every((word) => entry.text.includes(word));
  const inAll = (entry) => words.every((word) => entry.text.includes(word) || entry.exchanges.includes(word));
  const hits = new Set(index.filter(deep.checked ? inAll : inText));
  for (const entry of index) setShown(entry.item, hits.has(entry));
  for (const group of groups) group.hidden = words.length > 0 && !group.querySelector("[data-item]:not([hidden])");
  foldAll();
  const filtered = words.length > 0;
  if (filtered && !root.classList.contains("searching")) placeBefore = scrollY;
  root.classList.toggle("searching", filtered);
  everythingButtons.forEach((button) => { button.hidden = !filtered; });
  notify(filtered && hits.size === 0 ? `Nothing found for “${field.value.trim()}”.` : "");
  if (!filtered) {
    output.textContent = "";
    offer(0);
    return;
  }
  const scenarios = [...hits].filter((entry) => "scenario" in entry.item.dataset);
  const others = hits.size - scenarios.length;
  const more = deep.checked ? 0 : index.filter(inAll).length - hits.size;
  output.textContent = [
    plural(scenarios.length, "scenario", "scenarios"),
    others ? plural(others, "other line", "other lines") : "",
  ].filter(Boolean).join(", ");
  offer(more);
  for (const { item } of hits) {
    for (let around = item.parentElement; around; around = around.parentElement) {
      if (around.tagName === "DETAILS") around.open = true;
    }
    if (scenarios.length <= FEW && item.matches("article")) item.querySelector("details").open = true;
  }
}

field.addEventListener("input", () => {
  search();
  history.replaceState(null, "", field.value ? `#search=${encodeURIComponent(field.value)}` : "#");
});
deep.addEventListener("change", search);

function showMore() {
  deep.checked = true;
  search();
  deep.focus(); // the button is gone
}

function showEverything() {
  history.pushState(null, "", "#");
  arrive();
}

moreButtons.forEach((button) => button.addEventListener("click", showMore));
for (const button of everythingButtons) {
  button.addEventListener("click", () => {
    showEverything();
    document.getElementById("main").focus({ preventScroll: true }); // the button is gone
  });
}
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || event.isComposing || !field.value) return;
  event.preventDefault();
  showEverything();
});

// Addresses: #search=WORDS, or the name of a place

function place() {
  const hash = location.hash.slice(1);
  try {
    return decodeURIComponent(hash);
  } catch {
    return hash; // mistyped: a % alone
  }
}

function arrive() {
  const hash = place();
  if (hash.startsWith("search=")) {
    field.value = hash.slice("search=".length);
    search();
    document.querySelector(".bar").scrollIntoView();
    return;
  }
  const wasFiltered = field.value !== "";
  field.value = "";
  if (wasFiltered) search();
  notify("");
  if (!hash) {
    // Back to the whole page: where the reader was on it
    if (wasFiltered) scrollTo(0, placeBefore);
    return;
  }
  const target = document.getElementById(hash);
  if (!target) {
    notify(`This page has nothing at “${hash}”: the link is old or mistyped. Search for its words.`);
    notice.scrollIntoView();
    return;
  }
  reveal(target);
  target.scrollIntoView({ block: target.matches("tr") ? "center" : "start" });
}

addEventListener("hashchange", arrive);
arrive();

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false; // not allowed: the address bar has it
  }
}

document.addEventListener("click", async (event) => {
  const anchor = event.target.closest(".copy");
  if (!anchor) return;
  event.preventDefault();
  history.replaceState(null, "", anchor.getAttribute("href"));
  const said = (await copy(anchor.href)) ? "The link is copied." : "The link is in the address bar.";
  document.getElementById("copied").textContent = said;
});
