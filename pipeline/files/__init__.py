"""Files that people bring: event logs of a machine as any spreadsheet, table, or adapter writes them.

`guard` refuses what must not be opened, `rows` and `sheets` read tables in batches of bounded memory, `header` finds
the names of the columns, `times` and `numbers` read cells, `eventlog` makes a machine's series of them, and `propose`
says what the columns and words of an unknown file probably mean, for its owner to confirm.
"""
