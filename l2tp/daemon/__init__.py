"""The asyncio shell of a LAC or LNS: sockets, timers, the control socket, their decisions."""
