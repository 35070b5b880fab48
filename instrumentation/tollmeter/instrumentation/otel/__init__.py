"""Model calls that no tap sees, read from the spans of other instrumentations (OTel mode)."""
