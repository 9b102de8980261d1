"use strict";

// Keeps the page as it would be if it were loaded now. The server makes all of
// it, here too: on news, what it shows for this address is fetched and put in
// place of what is there, node by node, so that focus, selection and scroll
// position stay where they are.
(() => {
  const byId = (id) => document.getElementById(id);
  const form = byId("find"), search = byId("q"), state = byId("state"), link = byId("link"), pause = byId("pause");
  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  const slowest = 5000; // ms without news: the figures of probes are none

  let stream = null; // the server's word that something changed
  let fetching = false, again = false, failed = false, paused = false, timer = 0, rested = 0;

  function say() {
    const live = !paused && !failed && stream !== null && stream.readyState === EventSource.OPEN;
    link.className = paused ? "paused" : live ? "good" : "bad";
    link.textContent = paused ? "Paused" : live ? "Live" : failed ? "No connection to vipd, trying on" : "Asked every 5 s";
  }

  // soon asks for what is new, after a rest that is longer where answers are slower.
  function soon() {
    clearTimeout(timer);
    timer = setTimeout(refresh, Math.max(0, rested - performance.now()));
  }

  // refresh makes one request at a time.
  async function refresh() {
    if (fetching) { again = true; return; }
    clearTimeout(timer);
    fetching = true;
    again = false;
    const began = performance.now(), asked = location.search;
    try {
      const answer = await fetch("fragment" + asked, { signal: AbortSignal.timeout(15000), cache: "no-store" });
      if (!answer.ok) throw new Error(answer.status);
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      failed = false;
      if (asked === location.search) show(page);
    } catch {
      failed = true;
    }
    fetching = false;
    const ended = performance.now();
    rested = ended + Math.min(3 * (ended - began), slowest);
    say();
    if (asked !== location.search) refresh();
    else if (document.hidden || paused) return;
    else if (again) soon();
    else timer = setTimeout(refresh, slowest);
  }

  function show(page) {
    // Another vipd answers: its page may need other styles, and another script.
    if (page.body.dataset.build !== document.body.dataset.build) { location.reload(); return; }
    document.title = page.title;
    const focused = document.activeElement;
    for (const now of page.querySelectorAll("[data-live]")) {
      const was = byId(now.id);
      if (was !== null && !was.isEqualNode(now)) become(was, now);
    }
    if (focused !== document.activeElement && !focused.isConnected) byId("vips").focus({ preventScroll: true });
  }

  // become makes was like now, and keeps all nodes of it that it can: those with
  // the same id, else those of the same kind in their order.
  function become(was, now) {
    if (was.nodeType !== Node.ELEMENT_NODE) {
      if (was.data !== now.data) was.data = now.data;
      return;
    }
    const changed = was.dataset.state !== now.dataset.state;
    for (const { name } of [...was.attributes]) if (!now.hasAttribute(name)) was.removeAttribute(name);
    for (const { name, value } of now.attributes) if (was.getAttribute(name) !== value) was.setAttribute(name, value);
    children(was, now);
    if (changed) flash(was);
  }

  function children(was, now) {
    const named = new Map(), wanted = new Set();
    for (const child of was.children) if (child.id) named.set(child.id, child);
    for (const child of now.children) if (child.id) wanted.add(child.id);
    let at = was.firstChild;
    const drop = () => { const gone = at; at = at.nextSibling; gone.remove(); };
    for (const next of [...now.childNodes]) {
      const same = next.id ? named.get(next.id) : undefined;
      // What is before it goes, if it is not wanted: to move a node would blur it.
      while (same && at !== null && at !== same && !wanted.has(at.id)) drop();
      const own = same ?? (!next.id && at !== null && !at.id && at.nodeName === next.nodeName ? at : null);
      if (own === null) {
        was.insertBefore(document.importNode(next, true), at);
        continue;
      }
      if (own === at) at = at.nextSibling;
      else was.insertBefore(own, at);
      become(own, next);
    }
    while (at !== null) drop();
  }

  function flash(row) {
    if (calm.matches) return;
    const from = getComputedStyle(document.documentElement).getPropertyValue("--flash");
    row.animate({ backgroundColor: [from, "transparent"] }, { duration: 2000, easing: "ease-out" });
  }

  // go shows another view: its address is the page's from now on.
  function go(address, keep) {
    if (keep || new URL(address, location).search === location.search) history.replaceState(null, "", address);
    else history.pushState(null, "", address);
    refresh();
  }

  function found() {
    const asked = new URLSearchParams();
    if (search.value) asked.set("q", search.value);
    if (state.value) asked.set("state", state.value);
    return "./?" + asked;
  }

  // watch begins anew, or ends, listening to the server. Its first word comes at once.
  function watch() {
    if (stream !== null) stream.close();
    stream = null;
    clearTimeout(timer);
    if (!document.hidden && !paused) {
      const mine = stream = new EventSource("api/v1/watch");
      mine.addEventListener("change", () => { if (fetching) again = true; else soon(); });
      mine.addEventListener("open", say);
      mine.addEventListener("error", () => {
        soon();
        // A lost connection it renews by itself, a refusal it takes for an answer.
        if (mine.readyState === EventSource.CLOSED) setTimeout(() => { if (mine === stream) watch(); }, 30000);
      });
      timer = setTimeout(refresh, 1000);
    }
    say();
  }

  document.addEventListener("click", (e) => {
    const a = e.target.closest("a[data-view]");
    if (a === null || e.button !== 0 || e.ctrlKey || e.metaKey || e.shiftKey || e.altKey) return;
    e.preventDefault();
    const to = new URL(a.href);
    go(to.pathname + to.search, a.classList.contains("toggle"));
    reflect();
    if (a.dataset.page !== undefined || to.hash === "#vips") byId("vips").scrollIntoView();
  });
  form.addEventListener("submit", (e) => { e.preventDefault(); go(found()); });
  state.addEventListener("change", () => go(found()));
  let typed = 0;
  search.addEventListener("input", () => {
    clearTimeout(typed);
    typed = setTimeout(() => go(found(), true), 150);
  });
  document.addEventListener("keydown", (e) => {
    if (e.key !== "/" || e.ctrlKey || e.metaKey || e.altKey || e.target.matches("input, select, textarea")) return;
    e.preventDefault();
    search.focus();
    search.select();
  });

  // reflect puts what the address says into the form.
  function reflect() {
    const asked = new URLSearchParams(location.search);
    search.value = asked.get("q") ?? "";
    state.value = asked.get("state") ?? "";
  }
  addEventListener("popstate", () => { reflect(); refresh(); });
  addEventListener("pageshow", (e) => { if (e.persisted) watch(); });
  addEventListener("pagehide", () => { if (stream !== null) stream.close(); });
  document.addEventListener("visibilitychange", watch);
  pause.addEventListener("click", () => {
    paused = !paused;
    pause.setAttribute("aria-pressed", String(paused));
    watch();
  });

  pause.hidden = false;
  watch();
})();
