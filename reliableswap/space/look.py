"""Theme and style sheet: calm, the system's own fonts, nothing loaded from anywhere."""

from __future__ import annotations

import gradio as gr

_SANS = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "Helvetica Neue", "Arial", "sans-serif"]
_MONO = ["ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace"]


def theme() -> gr.themes.Base:
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
        block_label_background_fill="transparent",
        block_label_background_fill_dark="transparent",
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_hover="*primary_800",
        button_primary_background_fill_dark="*primary_600",
        button_primary_background_fill_hover_dark="*primary_700",
        button_primary_text_color="#ffffff",
    )


CSS = """
.gradio-container { max-width: 1360px !important; margin: 0 auto !important; }
.head h1 { margin: 0.2rem 0 0; font-size: 1.6rem; letter-spacing: -0.01em; }
.head p { margin: 0.15rem 0 0; max-width: 72ch; }
.rules { border-left: 3px solid var(--primary-600); padding: 0.1rem 0 0.1rem 0.8rem; }
.step h3 { margin: 0.2rem 0; font-size: 1.02rem; }
.quiet, .quiet p { color: var(--body-text-color-subdued); font-size: 0.92rem; }
.note, .note p { font-weight: 600; }
.faces { gap: 0.6rem !important; }
.faces .face { min-width: 132px !important; flex: 1 1 132px !important; max-width: 220px; }
.consent { border: 1px solid var(--primary-600) !important; }
table.report { width: 100%; border-collapse: collapse; font-size: 0.92rem; }
table.report caption { text-align: left; padding-bottom: 0.35rem; color: var(--body-text-color-subdued); }
table.report th, table.report td { text-align: left; padding: 0.3rem 0.5rem 0.3rem 0; vertical-align: top;
  border-bottom: 1px solid var(--border-color-primary); overflow-wrap: anywhere; font-weight: 400; }
table.report th { font-weight: 600; }
.verdict { font-size: 1.1rem; margin: 0.4rem 0; }
.figure .says p { font-size: 0.9rem; margin: 0.2rem 0 0; }
:focus-visible { outline: 2px solid var(--primary-500) !important; outline-offset: 2px; }
"""
