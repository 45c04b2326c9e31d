"""The feeder: measurements in, network state, limits and certificates out.

Power is signed inside this package only, and its signs flip in one file,
:mod:`networks.injection`.
"""
