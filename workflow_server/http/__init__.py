"""HTTP/1.1 as a pure machine: bytes in, requests out; responses in, bytes out."""
