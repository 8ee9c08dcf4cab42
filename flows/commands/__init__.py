"""One file a command of `restore-archive`; the options are declared next door, in `flows.command_line`."""
