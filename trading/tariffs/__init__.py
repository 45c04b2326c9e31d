"""What energy costs at a retail tariff, exactly.

``blocks`` fills the blocks of one rate, ``clock`` says which rate an interval is charged at,
``month`` charges the energy of a month whatever order it came in, and ``fee`` is the monthly fee.
"""
