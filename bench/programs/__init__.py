"""Programs that run inside the processes being measured, on either engine, by the names both share."""
