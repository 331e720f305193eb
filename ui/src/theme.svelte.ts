// Light, dark, or as the system has it.

type Choice = "auto" | "light" | "dark";
const KEPT = "mediaflow.theme";

export const theme = $state({ choice: (localStorage.getItem(KEPT) as Choice | null) ?? "auto" });

function apply(): void {
  if (theme.choice === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme.choice;
}

export function turn(): void {
  theme.choice = theme.choice === "auto" ? "dark" : theme.choice === "dark" ? "light" : "auto";
  localStorage.setItem(KEPT, theme.choice);
  apply();
}

apply();
