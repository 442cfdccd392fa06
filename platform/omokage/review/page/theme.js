// Dark or light, as the person wants it; remembered by the browser.

import { toast } from "./dom.js";

const THEMES = ["auto", "light", "dark"];
const PLACE = "omokage-theme";

export class Theme {
  constructor() { this.set(localStorage.getItem(PLACE) ?? "auto"); }

  set(which) {
    this.which = which;
    localStorage.setItem(PLACE, which);
    if (which === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = which;
  }

  next() {
    this.set(THEMES[(THEMES.indexOf(this.which) + 1) % THEMES.length]);
    toast(`Colours: ${this.which}`, { seconds: 1.5 });
  }
}
