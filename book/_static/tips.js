// Hover previews: formulas in them, the pointer in them, and Escape.
(() => {
  const root = document.documentElement.dataset.content_root ?? "./";
  let loading;

  // A page without formulas has no MathJax until a preview needs it.
  function mathjax() {
    if (window.MathJax?.typesetPromise) return Promise.resolve();
    loading ??= new Promise((done) => {
      window.MathJax ??= { options: { menuOptions: { settings: { inTabOrder: false } } } };
      const script = document.createElement("script");
      script.src = `${root}_static/vendor/tex-svg-full.js`;
      script.onload = () => MathJax.startup.promise.then(done);
      document.head.append(script);
    });
    return loading;
  }

  // One listener for all links; made at once, the previews of a long page would take seconds.
  document.addEventListener("DOMContentLoaded", () => {
    const previews = window.selector_to_html;
    if (!previews) return;
    window.onload = null; // which makes them at once
    tippy.delegate("article", {
      target: "a[href]:not(.headerlink, .sd-stretched-link)",
      content: (link) => previews[`a[href="${link.getAttribute("href")}"]`] ?? "",
      onShow: ({ props }) => props.content !== "",
      allowHTML: true,
      interactive: true, // a long one scrolls
      appendTo: () => document.body,
      maxWidth: 560,
      placement: "auto-start",
      delay: [250, 0],
      onMount({ popper }) {
        if (popper.querySelector(".math")) mathjax().then(() => MathJax.typesetPromise([popper]));
      },
    });
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") window.tippy?.hideAll();
  });
})();
