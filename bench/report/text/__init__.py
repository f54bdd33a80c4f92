"""Tables as text: Markdown, LaTeX, CSV, HTML."""
