"""What travels: the records and pydantic shapes that clients and stores see."""
