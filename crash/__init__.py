"""A server that is killed over and over, and clients that keep a record of all it has told them.

    player (threads)  --HTTP-->  server process  -->  SQLite file
       |                             ^
       v                             | SIGKILL, Ctrl+C
    record of acknowledgements     harness

The players keep runs of all kinds going and write down every acknowledgement: accepted starts, events and cancels,
each event of a stream under its sequence number, state that was shown, results. A request that got no answer proves
nothing; it is looked up, or made again. The harness kills the server at random moments and starts it again at once.
In the end all runs are finished, and the record, what the server says and what the file holds must agree.
"""
