"""The card: a titled frame with a skeleton that a reading fills; it keeps its frame whatever happens."""

from __future__ import annotations

from typing import Any, Final

from tollmeter.dashboards.components.aria import aria

IDLE: Final = "tm-progress"
BUSY: Final = "tm-progress tm-busy"
_CARD: Final = "tm-card"
_WIDE: Final = "tm-wide"
_FAILED: Final = "tm-failed"


def card(name: str, title: str, *actions: Any, height: int = 320, wide: bool = False, help_text: str = "") -> Any:
    """A card before its first reading; `name` starts with the page's, `wide` spans the row, `help_text` explains."""
    import dash_mantine_components as dmc
    from dash import html

    head = [
        html.H2(title, title=help_text or None),
        html.Span(id=f"{name}-caption", className="tm-caption"),
        *_buttons(name, title),
        *actions,
    ]
    return html.Section(
        [
            html.Div(id=bar(name), className=IDLE),
            html.Div(head, className="tm-head"),
            html.Div(id=f"{name}-notice", role="status"),
            html.Div(dmc.Skeleton(height=height, className="tm-skeleton"), id=f"{name}-body", className="tm-body"),
        ],
        id=name,
        className=f"tm-frame {_WIDE}" if wide else "tm-frame",
        **aria(title),
    )


def bare(name: str, label: str, skeleton: Any) -> Any:
    """A part that is filled as a card is, without a frame of its own, such as the row of tiles."""
    from dash import html

    return html.Section(
        [
            html.Div(id=bar(name), className=IDLE),
            html.Span(id=f"{name}-caption", hidden=True),
            html.Div(
                [
                    html.Div(id=f"{name}-notice", role="status"),
                    *_buttons(name, label),
                ],
                className="tm-bare-head",
            ),
            html.Div(skeleton, id=f"{name}-body"),
        ],
        id=name,
        className="tm-bare",
        **aria(label),
    )


def grid_of(*parts: Any) -> Any:
    """Cards side by side, as many as fit."""
    from dash import html

    return html.Div(list(parts), className="tm-cards")


def retry(name: str) -> str:
    """Id of a card's retry button, which shows once its reading failed."""
    return f"{name}-retry"


def cancel(name: str) -> str:
    """Id of a card's cancel button, which shows once its reading takes long."""
    return f"{name}-cancel"


def bar(name: str) -> str:
    """Id of the thin bar that moves while a card is read."""
    return f"{name}-busy"


def filled(name: str) -> tuple[tuple[str, str], ...]:
    """What a reading fills, as id and property."""
    return ((f"{name}-body", "children"), (f"{name}-notice", "children"), (f"{name}-caption", "children"),
            (f"{name}-body", "className"), (retry(name), "className"))  # fmt: skip


def contents(body: Any, caption: str) -> list[Any]:
    """Values of what is filled after a reading."""
    return [body, None, caption, "tm-body", "tm-retry"]


def failed(notice: Any) -> list[Any]:
    """Values after a reading failed: what was shown stays, a skeleton does not."""
    from dash import no_update

    return [no_update, notice, no_update, f"tm-body {_FAILED}", "tm-retry tm-shown"]


def _buttons(name: str, title: str) -> list[Any]:
    from dash import html

    return [
        html.Button("Cancel", id=cancel(name), className="tm-retry tm-cancel", **aria(f"Cancel: {title}")),
        html.Button("Retry", id=retry(name), className="tm-retry", **aria(f"Retry: {title}")),
    ]
