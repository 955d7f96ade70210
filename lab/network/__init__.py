"""Networks: a plan, the ledger, and namespaces, links and processes made by netlink."""
