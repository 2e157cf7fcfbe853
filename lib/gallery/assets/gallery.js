// The gallery's behaviour. Text from clips reaches the page by textContent only.
"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  const store = {
    get(key, fallback) {
      try { return JSON.parse(localStorage.getItem("sora." + key)) ?? fallback; } catch { return fallback; }
    },
    set(key, value) {
      try { localStorage.setItem("sora." + key, JSON.stringify(value)); } catch { /* a private window keeps nothing */ }
    },
  };

  // Light and dark.
  const root = document.documentElement;
  const applyTheme = () => {
    const theme = store.get("theme", "");
    if (theme) root.dataset.theme = theme; else delete root.dataset.theme;
  };
  const toggleTheme = () => {
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    store.set("theme", dark ? "light" : "dark");
    applyTheme();
  };
  applyTheme();
  byId("theme")?.addEventListener("click", toggleTheme);

  // Favourites.
  const favourites = new Set(store.get("favourites", []));
  const showHeart = (button, id) => {
    const on = favourites.has(id);
    button.setAttribute("aria-pressed", String(on));
    button.textContent = on ? "♥" : "♡";
  };
  const toggleFavourite = (id) => {
    if (!favourites.delete(id)) favourites.add(id);
    store.set("favourites", [...favourites]);
  };

  const isTyping = (target) => target instanceof HTMLElement && target.matches("input, select, textarea");

  if (document.body.classList.contains("clip")) clipPage(); else indexPage();

  function clipPage() {
    const id = document.body.dataset.id;
    const heart = byId("favourite");
    showHeart(heart, id);
    const flip = () => { toggleFavourite(id); showHeart(heart, id); };
    heart.addEventListener("click", flip);

    const copy = async (button) => {
      const text = button.previousElementSibling.textContent;
      let done = false;
      try { await navigator.clipboard.writeText(text); done = true; } catch {
        const area = document.createElement("textarea");  // pages from the disk may not have the clipboard
        area.value = text;
        document.body.append(area);
        area.select();
        done = document.execCommand("copy");
        area.remove();
      }
      button.textContent = done ? "Copied" : "Select it";
      setTimeout(() => { button.textContent = "Copy"; }, 1500);
    };
    const buttons = [...document.querySelectorAll("button.copy")];
    for (const button of buttons) button.addEventListener("click", () => copy(button));

    let order = [];
    try { order = JSON.parse(sessionStorage.getItem("sora.order")) ?? []; } catch { order = []; }
    const go = (step) => {
      const next = order[order.indexOf(id) + step];
      if (order.includes(id) && next) location.href = next + ".html";
    };
    addEventListener("keydown", (event) => {
      if (isTyping(event.target) || event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.key === "f") flip();
      else if (event.key === "t") toggleTheme();
      else if (event.key === "c" && buttons[0]) copy(buttons[0]);
      else if (event.key === "Escape") location.href = "../index.html";
      else if (event.target.id !== "clip" && event.key === "ArrowRight") go(1);
      else if (event.target.id !== "clip" && event.key === "ArrowLeft") go(-1);
    });
  }

  function indexPage() {
    const kPage = 60;  // cards made at a time
    const keys = ["id", "prompt", "operation", "model", "preset", "width", "height", "frames", "fps", "made", "poster", "preview"];
    const data = window.soraGallery ?? { featured: [], clips: [] };
    const clips = data.clips.map((row) => Object.fromEntries(keys.map((key, i) => [key, row[i]])));
    for (const clip of clips) clip.size = clip.width + "×" + clip.height;
    const byClipId = new Map(clips.map((clip) => [clip.id, clip]));
    const grid = byId("grid");
    const search = byId("search");
    const fields = ["operation", "model", "preset", "size"];
    let shown = [];
    let drawn = 0;

    // What is chosen stands in the address, so that going back finds it again.
    const state = new URLSearchParams(location.hash.slice(1));
    const choose = (key, value) => {
      if (value) state.set(key, value); else state.delete(key);
      try { history.replaceState(null, "", "#" + state); } catch { location.hash = String(state); }
      update();
    };
    const tab = () => state.get("tab") ?? (data.featured.length ? "featured" : "recent");

    for (const field of fields) {
      const select = byId(field);
      const counts = new Map();
      for (const clip of clips) if (clip[field]) counts.set(clip[field], (counts.get(clip[field]) ?? 0) + 1);
      const all = document.createElement("option");
      all.value = "";
      all.textContent = { operation: "Any operation", model: "Any model", preset: "Any preset", size: "Any size" }[field];
      select.append(all);
      for (const [value, count] of [...counts].sort((a, b) => b[1] - a[1])) {
        const option = document.createElement("option");
        option.value = value;
        option.textContent = `${value} (${count})`;
        select.append(option);
      }
      select.hidden = counts.size < 2;
      select.value = state.get(field) ?? "";
      select.addEventListener("change", () => choose(field, select.value));
    }
    search.value = state.get("q") ?? "";
    search.addEventListener("input", () => choose("q", search.value));
    const tabs = [...document.querySelectorAll("[data-tab]")];
    for (const button of tabs) button.addEventListener("click", () => choose("tab", button.dataset.tab));

    const plain = (text) => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
    const words = (clip) => (clip.words ??= plain([clip.prompt, clip.operation, clip.model, clip.preset, clip.id].join(" ")));

    function update() {
      const chosenTab = tab();
      for (const button of tabs) button.setAttribute("aria-selected", String(button.dataset.tab === chosenTab));
      const pool = chosenTab === "featured" ? data.featured.map((id) => byClipId.get(id)).filter(Boolean)
        : chosenTab === "favourites" ? clips.filter((clip) => favourites.has(clip.id)) : clips;
      const wanted = plain(state.get("q") ?? "").split(/\s+/).filter(Boolean);
      shown = pool.filter((clip) => fields.every((field) => !state.get(field) || clip[field] === state.get(field)) &&
        wanted.every((word) => words(clip).includes(word)));
      byId("count").textContent = shown.length === 1 ? "1 clip" : `${shown.length} clips`;
      try { sessionStorage.setItem("sora.order", JSON.stringify(shown.map((clip) => clip.id))); } catch { /* no arrows then */ }
      drawn = 0;
      grid.replaceChildren();
      if (!shown.length) {
        const empty = document.createElement("p");
        empty.className = "empty";
        empty.textContent = chosenTab === "favourites" && !favourites.size ? "Press ♡ on a clip to keep it here." : "No clip fits.";
        grid.append(empty);
      }
      draw();
    }

    function draw() {
      const cards = document.createDocumentFragment();
      for (const clip of shown.slice(drawn, drawn + kPage)) cards.append(card(clip));
      drawn = Math.min(shown.length, drawn + kPage);
      grid.append(cards);
    }

    function card(clip) {
      const element = document.createElement("article");
      element.className = "card";
      const link = document.createElement("a");
      link.href = "clip/" + encodeURIComponent(clip.id) + ".html";
      const image = document.createElement("img");
      image.className = "thumb";
      image.alt = "";
      image.loading = "lazy";
      image.decoding = "async";
      if (clip.poster) image.src = clip.poster;
      const move = () => { if (clip.preview) image.src = clip.preview; };
      const rest = () => { if (clip.poster) image.src = clip.poster; };
      link.addEventListener("pointerenter", move);
      link.addEventListener("pointerleave", rest);
      link.addEventListener("focus", move);
      link.addEventListener("blur", rest);
      const prompt = document.createElement("p");
      prompt.dir = "auto";
      prompt.textContent = clip.prompt;
      const facts = document.createElement("small");
      const seconds = clip.fps ? (clip.frames / clip.fps).toFixed(1) + " s" : "";
      facts.textContent = [seconds, clip.size, clip.operation, clip.model.split("/").pop()].filter(Boolean).join(" · ");
      link.append(image, prompt, facts);
      const heart = document.createElement("button");
      heart.type = "button";
      heart.className = "heart";
      heart.setAttribute("aria-label", "Favourite");
      showHeart(heart, clip.id);
      heart.addEventListener("click", () => { toggleFavourite(clip.id); showHeart(heart, clip.id); });
      element.append(link, heart);
      return element;
    }

    new IntersectionObserver((entries) => {
      if (entries.some((entry) => entry.isIntersecting) && drawn < shown.length) draw();
    }, { rootMargin: "800px" }).observe(byId("more"));

    // Arrows go by what is beside and below on the screen.
    function moveFocus(key) {
      const links = [...grid.querySelectorAll(".card > a")];
      const at = links.indexOf(document.activeElement);
      if (at < 0) return links[0]?.focus();
      const top = links[0].getBoundingClientRect().top;
      let columns = links.findIndex((link) => link.getBoundingClientRect().top > top + 4);
      if (columns < 1) columns = links.length;
      const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns }[key];
      const next = links[at + step];
      if (next) { next.focus(); next.scrollIntoView({ block: "nearest" }); }
    }
    addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.key === "Escape" && event.target === search) {
        search.value = "";
        search.blur();
        choose("q", "");
      } else if (isTyping(event.target)) {
        if (event.target === search && (event.key === "ArrowDown" || event.key === "Enter")) {
          event.preventDefault();
          grid.querySelector(".card > a")?.focus();
        }
      } else if (event.key === "/") {
        event.preventDefault();
        search.focus();
      } else if (event.key.startsWith("Arrow")) {
        event.preventDefault();
        moveFocus(event.key);
      } else if (event.key === "t") {
        toggleTheme();
      } else if (event.key === "f") {
        document.activeElement.closest(".card")?.querySelector(".heart").click();
      }
    });
    addEventListener("pageshow", (event) => {
      if (!event.persisted) return;
      favourites.clear();
      for (const id of store.get("favourites", [])) favourites.add(id);
      update();
    });
    update();

    // A server that says so tells of new clips: its version is compared with that of the data this page was made of.
    if (window.soraLive) {
      setInterval(async () => {
        try {
          const version = await (await fetch("data/version", { cache: "no-store" })).text();
          if (version && version !== data.version && !isTyping(document.activeElement)) location.reload();
        } catch { /* the server has gone; the page stays as it is */ }
      }, 2000);
    }
  }
})();
