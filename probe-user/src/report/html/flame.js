// A click on a frame of a flame graph makes it as wide as the page; one on a frame that is so wide goes back.
(function () {
  "use strict";
  document.querySelectorAll(".flame").forEach(function (flame) {
    const frames = Array.from(flame.querySelectorAll(".frame"));
    const whole = frames.reduce(function (most, frame) {
      return Math.max(most, Number(frame.dataset.left) + Number(frame.dataset.weight));
    }, 1);
    let shown = null;
    function look(frame) {
      shown = shown === frame ? null : frame;
      const left = shown ? Number(shown.dataset.left) : 0;
      const width = shown ? Number(shown.dataset.weight) : whole;
      frames.forEach(function (other) {
        const begin = Math.max(left, Number(other.dataset.left));
        const end = Math.min(left + width, Number(other.dataset.left) + Number(other.dataset.weight));
        other.style.display = end > begin ? "" : "none";
        other.setAttribute("x", ((begin - left) * 100) / width + "%");
        other.setAttribute("width", (Math.max(0, end - begin) * 100) / width + "%");
      });
    }
    frames.forEach(function (frame) {
      frame.setAttribute("tabindex", "0");
      frame.addEventListener("click", function () { look(frame); });
      frame.addEventListener("keydown", function (event) {
        if (event.key === "Enter") {
          look(frame);
        }
      });
    });
  });
})();
