"""Results for a person: tables on a terminal, figures, and the report of a study."""
