"""Charts as Plotly figures: plain dicts, made without Dash."""
