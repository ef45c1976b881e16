// The switch between light, dark, and what the system has. Nothing is stored: a file has no place of its own for it.
(function () {
  "use strict";
  const root = document.documentElement;
  root.setAttribute("data-script", "");
  const place = document.getElementById("theme-place");
  const button = document.createElement("button");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  function isDark() {
    const theme = root.getAttribute("data-theme");
    return theme === null ? dark.matches : theme === "dark";
  }
  function name() {
    button.textContent = isDark() ? "Light" : "Dark";
    button.setAttribute("aria-label", isDark() ? "Use light colours" : "Use dark colours");
  }
  button.type = "button";
  button.addEventListener("click", function () {
    root.setAttribute("data-theme", isDark() ? "light" : "dark");
    name();
  });
  dark.addEventListener("change", name);
  name();
  place.append(button);
  // A link to something that is folded opens it.
  function unfold() {
    const target = location.hash.length > 1 && document.getElementById(location.hash.slice(1));
    for (let part = target; part; part = part.parentElement) {
      if (part.tagName === "DETAILS") {
        part.open = true;
      }
    }
    if (target) {
      target.scrollIntoView({ block: "start" });
    }
  }
  addEventListener("hashchange", unfold);
  unfold();
  // Paper cannot be unfolded.
  let folded = [];
  addEventListener("beforeprint", function () {
    folded = Array.from(document.querySelectorAll("details.finding:not([open]), details.failure:not([open])"));
    folded.forEach(function (part) { part.open = true; });
  });
  addEventListener("afterprint", function () {
    folded.forEach(function (part) { part.open = false; });
  });
})();
