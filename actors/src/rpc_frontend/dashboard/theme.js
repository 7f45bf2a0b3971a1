// Light or dark: as the system has it, or as was chosen here. Runs before the page is drawn, so that it does not flash.
{
  const root = document.documentElement;
  const system = matchMedia('(prefers-color-scheme: dark)');
  const store = (action) => {
    try {
      return action(localStorage);
    } catch {
      // Storage may be switched off: then the choice lasts as long as the page.
      return null;
    }
  };
  const chosen = store((storage) => storage.getItem('callboard-theme'));
  if (chosen === 'light' || chosen === 'dark') root.dataset.theme = chosen;

  const isDark = () => (root.dataset.theme ?? (system.matches ? 'dark' : 'light')) === 'dark';
  addEventListener('DOMContentLoaded', () => {
    const button = document.getElementById('theme');
    const show = () => button.setAttribute('aria-pressed', String(isDark()));
    button.addEventListener('click', () => {
      root.dataset.theme = isDark() ? 'light' : 'dark';
      store((storage) => storage.setItem('callboard-theme', root.dataset.theme));
      show();
    });
    system.addEventListener('change', show);
    show();
  });
}
