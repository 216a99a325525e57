"""What plain LangGraph does, and what the guard does inside it."""
