"""How requests reach the application: TCP and Unix sockets, ASGI, the page, signals."""
