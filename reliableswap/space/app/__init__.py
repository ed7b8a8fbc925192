"""The page: its frame, its theme, and one module per tab."""
