"""The page's theme, style sheet and script. Fonts are the system's own: nothing is loaded from other servers."""

from __future__ import annotations

import gradio as gr

_SANS = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "Helvetica Neue", "Arial", "sans-serif"]
_MONO = ["ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace"]


def theme() -> gr.themes.Base:
    """Return the theme, for light and dark screens."""
    return gr.themes.Base(
        primary_hue=gr.themes.colors.teal,
        neutral_hue=gr.themes.colors.slate,
        radius_size=gr.themes.sizes.radius_md,
        font=[gr.themes.Font(name) for name in _SANS],
        font_mono=[gr.themes.Font(name) for name in _MONO],
    ).set(
        body_background_fill="#f6f7f9",
        body_background_fill_dark="#0f1318",
        block_background_fill="#ffffff",
        block_background_fill_dark="#171c23",
        block_border_width="1px",
        block_label_background_fill="#ffffff",
        block_label_background_fill_dark="#171c23",
        block_label_text_color="*neutral_600",
        block_label_text_color_dark="*neutral_300",
        block_title_text_color="*neutral_700",
        block_title_text_color_dark="*neutral_200",
        block_info_text_color="*neutral_600",
        block_info_text_color_dark="*neutral_400",
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_400",
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_hover="*primary_800",
        button_primary_background_fill_dark="*primary_700",
        button_primary_background_fill_hover_dark="*primary_600",
        button_primary_text_color="#ffffff",
    )


CSS = """
.gradio-container { max-width: 1360px !important; margin: 0 auto !important; }
.head h1 { margin: 0.2rem 0 0; font-size: 1.6rem; letter-spacing: -0.01em; }
.head p { margin: 0.15rem 0 0; max-width: 72ch; }
.rules { margin-top: 0.5rem; border-left: 3px solid var(--primary-600); padding: 0.1rem 0 0.1rem 0.8rem; }
.step h3 { margin: 0.2rem 0; font-size: 1.02rem; }
.quiet, .quiet p { color: var(--body-text-color-subdued); font-size: 0.92rem; }
.note, .note p { font-weight: 600; }
.faces { gap: 0.6rem !important; }
.faces .face { min-width: 132px !important; flex: 1 1 132px !important; max-width: 220px; }
#examples .caption-label { display: none; }
#examples .grid-container { grid-template-columns: repeat(3, minmax(0, 1fr)) !important; }
#examples .thumbnail-item { min-width: 0; aspect-ratio: 2.2 / 1 !important; height: auto; border: 1px solid transparent;
  background: transparent; }
.consent { border: 1px solid var(--primary-600) !important; }
button[role=tab].selected { color: var(--primary-700) !important; }
.dark button[role=tab].selected { color: var(--primary-400) !important; }
table.report { width: 100%; border-collapse: collapse; border: 0 !important; font-size: 0.92rem; }
table.report caption { text-align: left; padding-bottom: 0.35rem; color: var(--body-text-color-subdued); }
table.report th, table.report td { text-align: left; padding: 0.3rem 0.5rem 0.3rem 0 !important; vertical-align: top;
  border: 0 !important; border-bottom: 1px solid var(--border-color-primary) !important; overflow-wrap: anywhere;
  font-weight: 400; }
table.report tr { border: 0 !important; }
table.report th { font-weight: 600; overflow-wrap: normal; }
.bar { height: 8px; border-radius: 4px; overflow: hidden; background: var(--border-color-primary); }
.bar span { display: block; height: 100%; background: var(--primary-600); transition: width 0.3s; }
#clip-offset { display: none; }
#clip button[aria-label="Trim video to selection"] { display: none; }
#clip button[aria-label="Reset video to initial value"] { display: none; }
.verdict { font-size: 1.1rem; margin: 0.4rem 0; }
.figure .panel-column { max-width: 240px; }
@media (max-width: 640px) {
  .figure .panel-column { max-width: calc(50% - 8px); }
  .tab-wrapper { height: auto !important; }
  .tab-container:not(.visually-hidden) { flex-wrap: wrap; height: auto !important; }
}
.figure .caption p { font-size: 0.9rem; margin: 0.2rem 0 0; }
:focus-visible { outline: 2px solid var(--primary-500) !important; outline-offset: 2px; }
"""

# Make Gradio's before-and-after slider accessible: name its pictures, and let the arrow keys move its line by simulated
# mouse drags. Keep the two players of a clip in step, at the same frame; #clip-offset says at which second of the
# original the result begins.
JS = """
() => {
  const drag = (handle, step) => {
    const box = handle.getBoundingClientRect(), y = box.top + box.height / 2, x = box.left + box.width / 2;
    const send = (node, type, at) => node.dispatchEvent(new MouseEvent(type,
      { bubbles: true, cancelable: true, view: window, clientX: at, clientY: y }));
    send(handle, "mousedown", x); send(window, "mousemove", x + step); send(window, "mouseup", x + step);
  };
  const updateValue = (handle, frame) => {
    const whole = frame.getBoundingClientRect(), line = handle.getBoundingClientRect();
    const share = (line.left + line.width / 2 - whole.left) / Math.max(whole.width, 1);
    handle.setAttribute("aria-valuenow", Math.round(100 * Math.min(1, Math.max(0, share))));
  };
  const addControls = () => document.querySelectorAll("[data-testid=slider]").forEach((handle) => {
    const frame = handle.parentElement, pictures = frame.querySelectorAll("img");
    ["Before: the target photo", "After: the result, made by AI"].forEach(
      (name, i) => pictures[i] && pictures[i].alt !== name && (pictures[i].alt = name));
    if (handle.getAttribute("role") === "slider") return;
    const facts = { role: "slider", tabindex: "0", "aria-label": "Line between before and after",
      "aria-valuemin": "0", "aria-valuemax": "100", "aria-orientation": "horizontal" };
    Object.entries(facts).forEach(([name, value]) => handle.setAttribute(name, value));
    updateValue(handle, frame);
    new MutationObserver(() => updateValue(handle, frame)).observe(handle, { attributeFilter: ["style"] });
    handle.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1 }[event.key];
      if (!step) return;
      event.preventDefault();
      drag(handle, (step * frame.getBoundingClientRect().width) / 20);
    });
  });
  const mirror = (one, other, offset) => {
    const follow = (least) => {
      const time = Math.max(0, one.currentTime + offset());
      if (Math.abs(other.currentTime - time) > least) other.currentTime = time;
    };
    const linked = (act) => () => one.twin === other && other.twin === one && act();
    one.addEventListener("play", linked(() => { follow(0.03); if (other.paused) other.play().catch(() => {}); }));
    one.addEventListener("pause", linked(() => { if (!other.paused) other.pause(); follow(0.03); }));
    one.addEventListener("seeking", linked(() => follow(0.03)));
    one.addEventListener("ratechange", linked(() => { other.playbackRate = one.playbackRate; }));
    return linked(() => !one.paused && follow(0.12));
  };
  const linkPlayers = () => {
    const [before, after] = ["before", "after"].map((name) => document.querySelector(`#clip-${name} video`));
    if (!before || !after || (before.twin === after && after.twin === before)) return;
    const begin = () => Number(document.querySelector("#clip-offset [data-seconds]")?.dataset.seconds || 0);
    before.twin = after; after.twin = before;
    before.addEventListener("play", () => { before.muted = true; });  // one sound is enough; the player unmutes itself
    before.setAttribute("aria-label", "Before: the original clip");
    after.setAttribute("aria-label", "After: the result, made by AI");
    after.addEventListener("timeupdate", mirror(after, before, begin));
    mirror(before, after, () => -begin());
  };
  const nameMenu = () => document.querySelectorAll(".overflow-menu > button:not([aria-label])").forEach(
    (button) => button.setAttribute("aria-label", "More tabs"));
  const update = () => { addControls(); linkPlayers(); nameMenu(); };
  new MutationObserver(update).observe(document.body, { childList: true, subtree: true });
  update();
}
"""
