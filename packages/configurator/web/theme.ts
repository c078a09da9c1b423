export type Theme = "auto" | "light" | "dark";

const key = "stator-configurator-theme";

/** What the reader chose last; `auto` follows the system. */
export function storedTheme(): Theme {
  const stored = localStorage.getItem(key);
  return stored === "light" || stored === "dark" ? stored : "auto";
}

export function applyTheme(theme: Theme): void {
  if (theme === "auto") delete document.documentElement.dataset["theme"];
  else document.documentElement.dataset["theme"] = theme;
  localStorage.setItem(key, theme);
}

export function nextTheme(theme: Theme): Theme {
  return theme === "auto" ? "dark" : theme === "dark" ? "light" : "auto";
}
