// Copy a text, say so on its button.
for (const button of document.querySelectorAll("[data-copy]")) button.addEventListener("click", async () => {
  const words = button.textContent;
  try { await navigator.clipboard.writeText(button.dataset.copy); } catch {
    const field = document.body.appendChild(Object.assign(document.createElement("textarea"), { value: button.dataset.copy }));
    field.select();
    document.execCommand("copy");
    field.remove();
  }
  button.textContent = "Copied";
  setTimeout(() => { button.textContent = words; }, 1500);
});
// A link to what is folded opens it.
const unfold = () => {
  const target = /^#[\w-]+$/.test(location.hash) && document.getElementById(location.hash.slice(1));
  if (!target) return;
  for (let node = target; node; node = node.parentElement) if (node.tagName === "DETAILS") node.open = true;
  target.scrollIntoView();
};
window.addEventListener("hashchange", unfold);
unfold();
// The contents stand beside a wide page, and mark the part that is read; on a narrow one they are folded.
const contents = document.querySelector("nav details"), wide = matchMedia("(min-width: 1280px)");
const lay = () => { contents.open = wide.matches; };
wide.addEventListener("change", lay);
lay();
const links = new Map([...document.querySelectorAll("nav a")].map((link) => [link.hash.slice(1), link]));
const parts = [...links.keys()].map((id) => document.getElementById(id)).filter(Boolean);
const spy = () => {
  const at = parts.filter((node) => node.getBoundingClientRect().top < innerHeight / 3).at(-1) ?? parts[0];
  for (const [id, link] of links) link.toggleAttribute("aria-current", id === at.id);
};
addEventListener("scroll", spy, { passive: true });
spy();
