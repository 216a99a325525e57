"""The formats of a report, a module each: `render(report, tree)` gives it as text; `formats` has them by name."""
