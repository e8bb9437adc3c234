"""The benchmark: this server and the peer, measured in turns within one run. See `python -m bench --help`."""
