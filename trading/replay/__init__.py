"""Replay: what the log opened to an auditor says, derived again from what it was derived from.

``log`` reads an export, ``public`` checks what everybody can, ``terms`` are the site's rules as the
log holds them. With the openings ``books`` clears every book again, ``settlements`` settles every
interval again and ``invoices`` writes every statement again; ``derivation`` is the whole.
"""
