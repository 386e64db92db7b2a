"""The front door: the command line and the composition root. Nobody imports it.

`cli` names the module of each command, and a command is that module. `plantfile` is the plant file as a whole, `app`
runs what it names, `parts` and `self_report` say how that goes. Behind `demo`: `simulated` and `account`; behind
`verify`: `rig`, `verification`, `comparison`, `samples_account`, `excuses`; behind `init`: the modules `init_…`.
"""

__version__ = "0.1.0"
