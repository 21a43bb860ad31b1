// Formulas in hover previews: MathJax can measure a preview only once it is on the page, which is
// a moment after sphinx-tippy asks for it.
window.addEventListener("load", () => {
  const typeset = window.MathJax?.typesetPromise;
  if (typeset) {
    MathJax.typesetPromise = (elements) => Promise.resolve().then(() => typeset(elements));
  }
});
