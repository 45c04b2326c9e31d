"use strict";
// Live parts: polled with their ETag; a part that holds the focus is left alone.
const etags = new Map();
document.addEventListener("htmx:configRequest", (event) => {
  const tag = etags.get(event.detail.path);
  if (tag) event.detail.headers["If-None-Match"] = tag;
});
document.addEventListener("htmx:beforeRequest", (event) => {
  const active = document.activeElement;
  const open = event.target.querySelector("details[open]");
  const busy = open || (active && active.matches("input, select, textarea") && event.target.contains(active));
  if (busy || document.hidden) event.preventDefault();
});
document.addEventListener("htmx:afterRequest", (event) => {
  const request = event.detail.xhr;
  if (!request) return;
  const tag = request.getResponseHeader("ETag");
  if (tag) etags.set(event.detail.pathInfo.requestPath, tag);
  const main = document.getElementById("main");
  if (main) main.classList.toggle("stale", request.status === 0 || request.status >= 500);
});
document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("nav details[open]")) if (!menu.contains(event.target)) menu.open = false;
});
document.addEventListener("keydown", (event) => {
  const menu = event.key === "Escape" && document.querySelector("nav details[open]");
  if (menu) { menu.open = false; menu.querySelector("summary").focus(); }
});
document.addEventListener("change", (event) => {
  if (event.target.matches("select[data-submit], input[data-submit]")) event.target.form.submit();
});
