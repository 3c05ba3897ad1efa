"use strict";
(() => {
  const of = (id) => document.getElementById(id);
  const theme = of("theme"), root = document.documentElement;
  theme.hidden = false;
  theme.addEventListener("click", () => {
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
  });
  const form = of("filters");
  if (!form) return;
  const items = [...document.querySelectorAll(".item")], dialog = of("large");
  let current = null;
  const visible = () => items.filter((i) => !i.hidden).flatMap((i) => [...i.querySelectorAll(".shot")].filter((s) => !s.hidden));
  const reach = (shot, focus) => {
    if (current) current.tabIndex = -1;
    current = shot;
    if (!shot) return;
    shot.tabIndex = 0;
    if (focus) shot.focus();
  };
  const filter = () => {
    const name = of("by-class").value, method = of("by-method").value, outcome = of("by-outcome").value;
    let count = 0;
    for (const item of items) {
      const shots = [...item.querySelectorAll(".shot")];
      for (const shot of shots) shot.hidden = Boolean(method && shot.dataset.method && shot.dataset.method !== method);
      const judged = shots.filter((s) => s.dataset.found && !s.hidden);
      const fits = !outcome || item.dataset.outcome === outcome
        || (outcome === "mistaken" && item.dataset.right === "false")
        || (outcome === "found" && judged.some((s) => s.dataset.found === "true"))
        || (outcome === "missed" && judged.some((s) => s.dataset.found === "false"));
      item.hidden = !(fits && (!name || item.dataset.class === name));
      count += item.hidden ? 0 : 1;
    }
    of("count").textContent = count + (count === 1 ? " image" : " images");
    reach(visible()[0] || null, false);
  };
  const enlarge = (shot) => {
    const picture = of("large-picture");
    picture.replaceChildren(shot.querySelector(".picture").cloneNode(true));
    of("large-words").textContent = shot.closest(".item").querySelector("figcaption").innerText + " · " + shot.querySelector(".words").innerText;
    if (!dialog.open) dialog.showModal();
  };
  const move = (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: 1, ArrowUp: -1, Home: 0, End: 0 }[event.key];
    if (step === undefined || !current) return;
    const shots = visible();
    let place = shots.indexOf(current) + step;
    if (event.key === "Home") place = 0;
    if (event.key === "End") place = shots.length - 1;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      const item = current.closest(".item"), shown = items.filter((i) => !i.hidden);
      const next = shown[shown.indexOf(item) + step];
      place = next ? shots.indexOf([...next.querySelectorAll(".shot")].find((s) => !s.hidden)) : -1;
    }
    if (place < 0 || place >= shots.length) return;
    event.preventDefault();
    reach(shots[place], !dialog.open);
    if (dialog.open) enlarge(shots[place]);
  };
  form.addEventListener("change", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
  document.querySelector(".gallery").addEventListener("click", (event) => {
    const shot = event.target.closest(".shot");
    if (shot) { reach(shot, false); enlarge(shot); }
  });
  document.querySelector(".gallery").addEventListener("keydown", move);
  dialog.addEventListener("keydown", move);
  dialog.addEventListener("close", () => current && current.focus());
  filter();
})();
