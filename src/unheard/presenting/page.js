"use strict";
(() => {
  const sound = document.getElementById("sound");
  const picture = document.getElementById("picture");
  const head = document.getElementById("head");
  const buttons = [...document.querySelectorAll("button[data-start]")];
  const width = picture.viewBox.baseVal.width;
  if (!sound) { head.remove(); return; }
  document.body.classList.add("plays");
  const listen = (seconds) => {
    sound.currentTime = seconds;
    sound.play();
  };
  picture.addEventListener("click", (event) => {
    const box = picture.getBoundingClientRect();
    if (Number.isFinite(sound.duration)) listen(((event.clientX - box.left) / box.width) * sound.duration);
  });
  for (const button of buttons) button.addEventListener("click", () => listen(Number(button.dataset.start)));
  sound.addEventListener("timeupdate", () => {
    const x = Number.isFinite(sound.duration) ? (sound.currentTime / sound.duration) * width : 0;
    head.setAttribute("x1", x);
    head.setAttribute("x2", x);
    let now = null;
    for (const button of buttons) {
      button.closest("tr").classList.remove("now");
      if (Number(button.dataset.start) <= sound.currentTime + 0.01) now = button;
    }
    if (now && !(sound.paused && sound.currentTime === 0)) now.closest("tr").classList.add("now");
  });
})();
