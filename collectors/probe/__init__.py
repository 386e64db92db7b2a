"""Network links, measured by STAMP test packets (RFC 8762).

Bytes: `stamp`, `tlv`, `asked`. What became of each packet, without sockets or clocks: `session`, `outcome`. The loop
that sends: `sender` on a `wire`, in a process of its own (`child`, seen from here as `process`, by `frames`). `probe`
is the collector; `reflector` answers; `clocks` and `timekeeping` say what times are worth.
"""
