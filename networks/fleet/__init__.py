"""Many feeders' years: what travels to a worker, who solves it, and where the results are kept.

Only this package knows dask. What travels is the compiled equipment and how a feeder differs from
its base, never a pandapower net.
"""
