"use strict";
// The page around a task: counts the time down, sizes the frame, and moves on once it is submitted.
(() => {
  const timer = document.querySelector("[data-seconds]");
  if (timer) {
    const end = performance.now() + Number(timer.dataset.seconds) * 1000;
    const show = () => {
      const left = Math.max(0, Math.round((end - performance.now()) / 1000));
      const two = (n) => String(n).padStart(2, "0");
      timer.textContent = `${Math.floor(left / 3600)}:${two(Math.floor(left / 60) % 60)}:${two(left % 60)}`;
      if (left === 0) timer.textContent += " – time is up";
    };
    show();
    setInterval(show, 1000);
  }
  const frame = document.querySelector("iframe.task");
  if (!frame) return;
  if (Number(frame.dataset.height) > 0) frame.style.height = `${frame.dataset.height}px`;
  const next = frame.dataset.next;
  if (!next) return;
  addEventListener("message", (event) => {
    if (event.source !== frame.contentWindow || event.data !== "sandbox:submitted") return;
    location.assign(next);
  });
})();
