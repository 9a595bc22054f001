// Searches the list that is already on the page. Few words must all be there; of a pasted text most.
"use strict";

const input = document.getElementById("q");
const count = document.getElementById("count");
const items = Array.from(document.querySelectorAll("li[data-words]"));
const sections = Array.from(document.querySelectorAll("main section"));

function words(text) {
  const parts = text.toLowerCase().split(/[^\p{L}\p{N}:._-]+/u);
  return Array.from(new Set(parts.filter((word) => word.length > 1 || /\p{Script=Han}/u.test(word))));
}

function share(item, wanted) {
  const found = wanted.filter((word) => item.dataset.words.includes(word)).length;
  return found / wanted.length;
}

function search() {
  const wanted = words(input.value);
  const shares = items.map((item) => (wanted.length === 0 ? 1 : share(item, wanted)));
  const least = wanted.length <= 4 ? 1 : Math.max(0.5, Math.max(...shares) - 0.1);
  items.forEach((item, index) => {
    item.hidden = shares[index] < least;
  });
  sections.forEach((section) => {
    section.hidden = section.querySelector("li:not([hidden])") === null;
  });
  const shown = items.filter((item) => !item.hidden).length;
  count.textContent = wanted.length === 0 ? "" : `${shown} ${count.dataset.found}`;
}

input.addEventListener("input", search);
input.form.addEventListener("submit", (event) => event.preventDefault());
search();
