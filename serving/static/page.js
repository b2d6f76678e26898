// Rows by keyboard: j and k go from person to person, d opens the decision. Everything works without this file.
"use strict";
(() => {
  const links = [...document.querySelectorAll(".people .officer a")];
  if (!links.length) return;
  const typing = (element) => element.closest("input, select, textarea, [contenteditable]");
  const place = () => {
    const row = document.activeElement && document.activeElement.closest(".people tbody tr");
    return row ? links.findIndex((link) => row.contains(link)) : -1;
  };
  const go = (by) => {
    const next = links[Math.min(Math.max(place() + by, 0), links.length - 1)];
    next.focus();
    next.closest("tr").scrollIntoView({ block: "nearest" });
  };
  const decide = () => {
    const link = links[place()];
    const box = link && link.closest("tr").querySelector("details.decide");
    if (!box) return;
    box.open = true;
    box.querySelector("input[type=radio]").focus();
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
    const does = { j: () => go(1), k: () => go(-1), d: decide }[event.key];
    if (!does) return;
    event.preventDefault();
    does();
  });
  document.querySelectorAll("[data-script]").forEach((hint) => { hint.hidden = false; });
})();
