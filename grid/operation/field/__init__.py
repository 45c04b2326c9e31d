"""The simulated field: a world with physics behind real sockets.

``world`` computes what happens in an interval, ``state`` keeps it on disk by
tick, ``serve`` is the process, ``link`` is how the control room talks to it.
"""
