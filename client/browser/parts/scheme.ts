import page from '../page.css';
import tokens from '../tokens.css';

const ATTRIBUTE = 'data-fieldloom-scheme';

let sheet: CSSStyleSheet | undefined;

/**
 * Puts the stylesheets of our pages into the document once, and keeps the document's scheme right while a page of ours
 * is open: dark where the Dashboard theme is dark; where it is light, as the reader's system wants it (Dashboard
 * itself does not ask).
 * @returns a function that gives the document back to the Dashboard theme
 */
export function followScheme(): () => void {
  if (sheet === undefined) {
    sheet = new CSSStyleSheet();
    sheet.replaceSync(tokens + page);
    document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
  }
  const html = document.documentElement;
  const wanted = matchMedia('(prefers-color-scheme: dark)');
  const apply = () => {
    html.removeAttribute(ATTRIBUTE);
    html.setAttribute(ATTRIBUTE, dashboardIsDark() ? 'dark' : wanted.matches ? 'dark-shell' : 'light');
  };
  apply();
  wanted.addEventListener('change', apply);
  return () => {
    wanted.removeEventListener('change', apply);
    html.removeAttribute(ATTRIBUTE);
  };
}

/** By the theme's own background, which Vuetify gives as `r,g,b`. */
function dashboardIsDark(): boolean {
  const application = document.querySelector('.v-application');
  if (application === null) return false;
  const [red = 255, green = 255, blue = 255] = getComputedStyle(application)
    .getPropertyValue('--v-theme-background')
    .split(',')
    .map(Number);
  return red * 0.299 + green * 0.587 + blue * 0.114 < 128;
}
