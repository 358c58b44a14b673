"""The browser pages and their HTTP interface: ``sppdet label`` and ``sppdet serve``."""
