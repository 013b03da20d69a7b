"""Results for people: tables on a terminal, figures, and the report of a study."""
