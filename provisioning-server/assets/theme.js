// Light or dark, and tiles or table, as the reader chose: set before the page is drawn, so that nothing flashes.
(() => {
  const chosen = (key) => { try { return localStorage.getItem(key); } catch { return null; } };
  const root = document.documentElement;
  const theme = chosen("theme");
  if (theme === "light" || theme === "dark") root.dataset.theme = theme;
  // An address that names a view is meant as it stands.
  if (chosen("view") && !new URLSearchParams(location.search).has("view")) root.dataset.view = chosen("view");
  root.classList.add("scripted");
})();
