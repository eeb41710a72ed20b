// Keeps a page up to date while it is looked at. The server says only that something has
// changed; the page is then fetched again, and what differs is patched in place, so that
// focus, open details and half-written words stay. Without this script a reload does the same.
"use strict";
(() => {
  const note = document.getElementById("live");
  const main = document.querySelector("main[data-live]");
  if (!note || !main || !window.EventSource) return;

  let wanted = false; // something changed since the last fetch began
  let busy = false, before = false; // fetching; there was a connection before
  let lostTimer = 0;

  function say(text, lost) {
    note.hidden = false;
    note.classList.toggle("lost", lost);
    if (note.textContent !== text) note.textContent = text;
  }

  // Makes `old` equal to `fresh`, touching as little as it can.
  function patch(old, fresh) {
    // What was said once about the last act stays until the page is left.
    if (old.isEqualNode(fresh) || (old.id === "flash" && !fresh.children.length)) return;
    if (old.nodeName !== fresh.nodeName || old.id !== fresh.id) {
      old.replaceWith(fresh.cloneNode(true));
      return;
    }
    if (old.nodeType !== Node.ELEMENT_NODE) {
      old.nodeValue = fresh.nodeValue;
      return;
    }
    if (old.matches("input:not([type=hidden]), textarea, select")) return;
    for (const { name } of [...old.attributes]) {
      const opened = name === "open" && old.nodeName === "DETAILS";
      if (!opened && !fresh.hasAttribute(name)) old.removeAttribute(name);
    }
    for (const { name, value } of fresh.attributes) {
      if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    }
    patchChildren(old, fresh);
  }

  // In order; but a node with an id is itself wherever it stands, so that a line more or
  // less above it does not make it new.
  function patchChildren(old, fresh) {
    const named = (parent, id) => id && [...parent.children].find((child) => child.id === id);
    let at = old.firstChild;
    const step = (act) => {
      const node = at;
      at = node.nextSibling;
      act(node);
    };
    for (const node of fresh.childNodes) {
      const same = named(old, node.id);
      while (same && at !== same) step((gone) => gone.remove());
      if (!at || (at !== same && named(fresh, at.id))) old.insertBefore(node.cloneNode(true), at);
      else step((mine) => patch(mine, node));
    }
    while (at) step((gone) => gone.remove());
  }

  async function refresh() {
    wanted = true;
    if (busy || document.hidden) return;
    busy = true;
    try {
      while (wanted && !document.hidden) {
        wanted = false;
        const answer = await fetch(location.href, { headers: { "X-Fragment": "1" }, cache: "no-store" });
        // A redirect means that the session has ended: patching in the sign-in page would be a lie.
        if (!answer.ok || answer.redirected) throw new Error(String(answer.status));
        const page = new DOMParser().parseFromString(await answer.text(), "text/html");
        const fresh = page.getElementById("main");
        if (!fresh) throw new Error("no main");
        patch(main, fresh);
        document.title = page.title;
      }
      say("Live", false);
    } catch {
      say("Can't update: reload to see the latest", true);
    } finally {
      busy = false;
    }
  }
  const events = new EventSource("/events");
  events.onopen = () => {
    clearTimeout(lostTimer);
    lostTimer = 0;
    // What happened while the connection was away was never said.
    if (before) refresh();
    else say("Live", false);
    before = true;
  };
  events.onerror = () => {
    // The browser tries again by itself; a short gap is not worth a word.
    lostTimer ||= setTimeout(() => say("Connection lost: reload to see the latest", true), 3000);
  };
  events.addEventListener("changed", refresh);
  document.addEventListener("visibilitychange", () => wanted && refresh());
})();
