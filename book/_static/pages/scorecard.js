// The filter of the scorecard. What is chosen stands in the address, behind the #, so that it can be
// shared and works without a server. An item of the list has a class for each of its properties.
(() => {
  const form = document.getElementById("filter");
  const claims = [...document.querySelectorAll("li.judged")];
  const tallies = [...document.querySelectorAll(".tallies .tally")];
  const lists = [...document.querySelectorAll("ul.claims")];
  const none = Object.assign(document.createElement("p"), { textContent: "No claim is like this." });
  tallies[0].parentElement.append(none);
  tallies[0].parentElement.setAttribute("role", "status");

  const has = (claim, name, value) =>
    value === "not-identity"
      ? !claim.classList.contains("kind-identity")
      : claim.classList.contains(value === "on" ? name : `${name}-${value}`);

  const chosen = () => [...new FormData(form)].filter(([, value]) => value);

  function show() {
    for (const claim of claims) {
      claim.hidden = !chosen().every(([name, value]) => has(claim, name, value));
    }
    for (const list of lists) {
      list.closest("section").hidden = [...list.children].every((claim) => claim.hidden);
    }
    const shown = claims.filter((claim) => !claim.hidden);
    none.hidden = shown.length > 0;
    for (const tally of tallies) {
      const identities = tally.classList.contains("identities");
      const counted = shown.filter((claim) => has(claim, "kind", "identity") === identities);
      tally.querySelector("strong").textContent = counted.length;
      tally.hidden = counted.length === 0;
      for (const badge of tally.querySelectorAll(".verdict")) {
        const verdict = [...badge.classList].find((name) => name !== "verdict");
        const count = counted.filter((claim) => has(claim, "verdict", verdict)).length;
        badge.querySelector("strong").textContent = count;
        badge.hidden = count === 0;
      }
    }
  }

  // An address with "=" holds a choice; any other leads to a place on the page, as always.
  function take() {
    const asked = new URLSearchParams(location.hash.slice(1));
    if (location.hash && !location.hash.includes("=")) return show();
    for (const field of form.elements) {
      if (field.type === "checkbox") field.checked = asked.has(field.name);
      else if (field.name) field.value = asked.get(field.name) ?? "";
      if (field.selectedIndex === -1) field.value = ""; // a choice that there is not
    }
    show();
    if (location.hash) form.closest("section").scrollIntoView();
  }

  function keep() {
    const state = new URLSearchParams(chosen()).toString();
    history.replaceState(null, "", state ? `#${state}` : location.pathname + location.search);
    show();
  }

  form.addEventListener("change", keep);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(keep));
  window.addEventListener("hashchange", take);
  form.hidden = false;
  take();
})();
