"""Evidence in; tables, figures and documents out."""
