"""Operations: what each command does. Values in, values or text out; no click here."""
