"""The formats of a report, a module each: `render(report, ...)` gives it as text."""
