"""Operations: the functions behind the commands. They return values or text and do not use click."""
