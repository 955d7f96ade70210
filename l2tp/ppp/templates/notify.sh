#!/bin/sh
# pppd runs this as ip-up, ip-down, ipv6-up, ...: one line tells the daemon what happened.
# The FIFO is opened for reading too, so that nothing blocks here when the daemon is gone.
printf '%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n' "${0##*/}" "$L2TP_SESSION" "${IFNAME:-$1}" \
	"$IPLOCAL" "$IPREMOTE" "$LLLOCAL" "$LLREMOTE" "$PEERNAME" \
	"$DNS1" "$DNS2" 1<>/etc/ppp/events
