"""One file per provider shape: raw usage to the inclusive fields."""
