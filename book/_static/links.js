// The buttons beside claims and figures: copy a command, or how to cite. And what is wider than its
// column: it scrolls, also by keyboard.
(() => {
  const meta = (name) => document.querySelector(`meta[name="citation_${name}"]`)?.content ?? "";

  // An address of this machine is of no use to others: there the entry names the page alone.
  function entry({ name, anchor }) {
    const home = document.querySelector('link[rel="canonical"]')?.href ?? location.href.split("#")[0];
    const page = home.split("/").pop();
    const where = home.startsWith("http") ? `url = {${home}#${anchor}}` : `howpublished = {${page}#${anchor}}`;
    return [
      `@misc{lazyrich:${anchor},`,
      `  title = {${name} in: ${meta("title")}},`,
      `  author = {{${meta("author")}}},`,
      `  year = {${meta("publication_date")}},`,
      `  note = {Version ${meta("version")}},`,
      `  ${where}`,
      "}",
    ].join("\n");
  }

  const told = Object.assign(document.createElement("div"), { className: "told" });
  told.setAttribute("role", "status");

  document.addEventListener("click", (event) => {
    const button = event.target.closest("button.cite, button.copy");
    if (!button) return;
    ClipboardJS.copy(button.dataset.copy ?? entry(button.dataset)); // from files, too
    button.focus();
    told.textContent = button.dataset.copy ? "Copied the command." : "Copied a BibTeX entry.";
    button.classList.add("done");
    setTimeout(() => {
      told.textContent = "";
      button.classList.remove("done");
    }, 2500);
  });

  // Where the pages are files, a browser refuses the search what it would quote from them.
  if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;

  const WIDE = "mjx-container[display], .pst-scrollable-table-container, .cell_output .output, div.claim, "
    + "div.highlight pre, mjx-container.wide, a.image-reference";

  const atEnd = (box) => box.scrollLeft + box.clientWidth > box.scrollWidth - 2;
  const moved = ({ target }) => target.matches?.(".scrolls") && target.classList.toggle("at-end", atEnd(target));
  document.addEventListener("scroll", moved, { capture: true, passive: true });

  function fit() {
    for (const formula of document.querySelectorAll(".bd-article mjx-container:not([display])")) {
      const column = formula.closest("p, li, td, dd, figcaption, div");
      formula.classList.remove("wide");
      const wide = column && formula.getBoundingClientRect().width > column.clientWidth + 1;
      formula.classList.toggle("wide", Boolean(wide));
    }
    for (const box of document.querySelectorAll(WIDE)) {
      const scrolls = box.scrollWidth > box.clientWidth + 1 && getComputedStyle(box).overflowX !== "visible";
      box.classList.toggle("scrolls", scrolls);
      if (scrolls) box.tabIndex = 0;
      else if (box.classList.contains("scrolls") || box.tabIndex === 0) box.removeAttribute("tabindex");
    }
  }

  window.addEventListener("load", () => {
    document.body.append(told);
    // The theme's: a button whose name is not what stands on it, a sidebar that is no landmark, and
    // folds without a name.
    document.querySelector(".search-button-field")?.removeAttribute("aria-label");
    const side = document.querySelector(".bd-sidebar-primary");
    side?.setAttribute("role", "region");
    side?.setAttribute("aria-label", "The book");
    for (const fold of document.querySelectorAll(".has-children > details > summary"))
      fold.setAttribute("aria-label", `Pages of: ${fold.closest("li").querySelector("a").textContent}`);
    (window.MathJax?.startup?.promise ?? Promise.resolve()).then(fit);
    let waiting;
    window.addEventListener("resize", () => {
      clearTimeout(waiting);
      waiting = setTimeout(fit, 200);
    });
  });
})();
